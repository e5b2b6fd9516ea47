"""Tasks that failed, or ran again, for what others did."""

import pytest

from tests.stress.histories import KEEPER, OTHER, POOL, SUPERVISOR, WORKER, Story, failed

CUT = "OperationalError: server closed the connection unexpectedly"


def found(verdict, name):
    return [key for finding in verdict.violations[name] for key in finding.keys]


# Failed


def raised(story, key="a", at=2.0):
    return story.note("raised", at, WORKER, key=key, error=CUT)


def cut(kind="plain"):
    """The database restarts while a task runs."""
    story = Story().sent("a", kind=kind).start("a", 1).fault("restart", 1.5, 1.8, effect="cut")
    return raised(story)


def test_a_task_that_failed_as_the_database_restarted_under_it_was_innocent():
    verdict = cut().verdict(failed("a", CUT, losses=0))
    assert verdict.broken() == ["innocents_failed"]
    (finding,) = verdict.violations["innocents_failed"]
    assert finding.text == f"a failed with {CUT!r}, for it was hit by: restart"


def test_one_that_was_run_again_is_fine():
    assert cut().run("a", 3, 4).verdict().ok


def test_one_that_fails_by_itself_is_not_innocent():
    assert cut("grumpy").verdict(failed("a", "ValueError: no", losses=0)).ok


def test_one_that_fails_for_no_reason_known_has_a_wrong_outcome():
    story = raised(Story().sent("a").start("a", 1))
    assert story.verdict(failed("a", CUT, losses=0)).broken() == ["wrong_outcome"]


def test_one_whose_workers_were_killed_three_times_is_failed_rightly():
    story = Story().sent("a")
    for number, victim in enumerate((WORKER, OTHER, WORKER)):
        story.start("a", 1 + number, victim, losses=number).kill(1.5 + number, victim)
    assert story.verdict(failed("a", "killed by SIGKILL")).ok


@pytest.mark.parametrize("error", ["killed by SIGKILL", "lease ran out unrenewed"])
def test_one_that_must_not_be_repeated_is_held_when_its_worker_is_hit(error):
    story = Story().sent("a", kind="single").start("a", 1).kill(2)
    assert story.verdict(failed("a", error, losses=0, max_losses=0)).ok


def test_but_not_where_nobody_had_done_anything_to_it():
    story = Story().sent("a", kind="single").start("a", 1)
    story.note("death", 2, victim=WORKER, cause="seen")
    verdict = story.verdict(failed("a", "lease ran out unrenewed", losses=0, max_losses=0))
    assert found(verdict, "innocents_failed") == ["a"]


def test_a_cancelled_one_is_no_innocent():
    story = Story().sent("a").start("a", 1).note("cancelling", 1.2, key="a")
    story.note("cancel", 1.3, key="a", outcome="asked", attempt=1).kill(2)
    row = failed("a", "cancelled; its worker: killed", losses=0, cancelled=True)
    assert not story.verdict(row).violations["innocents_failed"]


# Done, and run again


def batch():
    """Two of a batch are done when the third takes the worker down."""
    story = Story().sent("a", "b").sent("c", kind="rude")
    return story.run("a", 1, 1.1).run("b", 1.2, 1.3).start("c", 1.4)


def again(story, *keys):
    for number, key in enumerate(keys):
        story.run(key, 3 + number, 3.5 + number, OTHER)
    return story.verdict()


def by_itself(story):
    return story.note("death", 2, WORKER, victim=WORKER, cause="poison")


@pytest.mark.parametrize("die", [by_itself, lambda story: story.kill(2)], ids=["itself", "killed"])
def test_what_was_done_before_the_run_in_progress_is_not_run_again(die):
    assert again(die(batch()), "c").ok
    verdict = again(die(batch()), "a", "c", "b")
    assert verdict.broken() == ["forgotten_finishes"]
    assert found(verdict, "forgotten_finishes") == ["a", "b"]


def test_that_its_keeper_is_killed_too_is_no_excuse():
    story = by_itself(batch().kill(1.9, KEEPER, "keeper"))
    assert found(again(story, "a", "b", "c"), "forgotten_finishes") == ["a", "b"]


def test_the_last_run_may_have_been_killed_as_it_was_about_to_return():
    story = Story().sent("a").run("a", 1, 2).kill(2)
    assert again(story, "a").ok


@pytest.mark.parametrize(
    "blow",
    [
        lambda story: story.kill(2.1, SUPERVISOR, "pool", victims=POOL),
        lambda story: by_itself(story.freeze(1.5, WORKER)),
        lambda story: by_itself(story.fault("restart", 1.5, 2.5, effect="cut")),
        lambda story: by_itself(story).fault("restart", 2.2, 2.5, effect="cut"),
        lambda story: story.note("death", 2, victim=WORKER, cause="seen"),
    ],
    ids="pool frozen outage later lease".split(),
)
def test_where_more_was_hit_than_the_worker_it_may_run_again(blow):
    assert not again(blow(batch()), "a", "b", "c").violations["forgotten_finishes"]
