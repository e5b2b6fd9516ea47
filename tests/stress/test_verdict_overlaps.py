"""Overlaps: proven, presumed, allowed, and those that only look like one.

Each rule is tried from both sides: a history that breaks it, and its nearest
neighbor that does not.
"""

import pytest

from tests.stress.histories import KEEPER, OTHER, POOL, SUPERVISOR, WORKER, WORKER_B, Story


def overlaps(story):
    return [each.text for each in story.verdict().violations["overlaps"]]


def test_two_runs_to_the_end_at_the_same_time_overlap_as_long_as_both_went_on():
    (text,) = overlaps(Story().sent("a").run("a", 1, 3).run("a", 2, 5, OTHER))
    assert "ran twice at once for 1.000 s" in text
    assert f"in process {WORKER} (end) and in process {OTHER} (end)" in text


def test_one_after_the_other_does_not_overlap():
    assert not overlaps(Story().sent("a").run("a", 1, 3).run("a", 3, 5, OTHER))


def test_each_pair_of_three_runs_at_once_is_an_overlap():
    story = Story().sent("a").run("a", 1, 9).run("a", 2, 4, OTHER).run("a", 3, 5, WORKER_B)
    assert len(overlaps(story)) == 3


def test_a_run_is_over_when_its_worker_was_killed():
    story = Story().sent("a").start("a", 1).kill(2).run("a", 2.05, 3, OTHER)
    assert not overlaps(story)


def test_a_worker_that_was_alive_after_the_next_start_overlapped():
    story = Story().sent("a").start("a", 1).run("a", 2, 4, OTHER).kill(3, since=round(2.9e9))
    assert "for 0.900 s" in overlaps(story)[0]


def test_a_start_between_the_kill_and_the_record_of_it_does_not_overlap():
    # The killer was put off between its kill, at 1.9, and writing it down.
    story = Story().sent("a").start("a", 1).start("a", 2, OTHER)
    assert not overlaps(story.kill(2.1, since=round(1.9e9)).end("a", 3, OTHER))


def test_the_last_word_of_a_run_outweighs_the_record_of_its_death():
    story = Story().sent("a").start("a", 1).kill(2).start("a", 2.1, OTHER)
    assert overlaps(story.end("a", 2.5).end("a", 3, OTHER))


def test_a_tick_after_the_next_start_proves_an_overlap_whatever_became_of_the_run():
    story = Story().sent("a").start("a", 1).run("a", 2, 4, OTHER).tick("a", 2.5)
    assert "for 0.500 s" in overlaps(story)[0]


def test_a_tick_before_the_next_start_proves_none():
    story = Story().sent("a").start("a", 1).tick("a", 1.9).kill(1.95).run("a", 2, 4, OTHER)
    assert not overlaps(story)


def test_a_supervisor_that_was_alive_is_no_proof_that_its_child_was():
    def story():
        hit = Story().sent("a").start("a", 1).fault("memory", 1.5, 1.6, victims=[WORKER])
        return hit.run("a", 2, 4, OTHER)

    assert not overlaps(story().kill(3, SUPERVISOR, "supervisor"))
    assert overlaps(story().kill(3, SUPERVISOR, "supervisor", victims=POOL))


# Nobody saw how the first run ended


def test_a_run_of_which_nothing_more_is_heard_is_presumed_to_go_on():
    (text,) = overlaps(Story().sent("a").start("a", 1).run("a", 2, 4, OTHER))
    assert "nothing is known to have ended its first run" in text


@pytest.mark.parametrize(
    "blow",
    [
        lambda story: story.fault("outage", 1.2, 1.8, effect="cut"),
        lambda story: story.fault("cut-off", 1.2, 1.8, effect="cut", victims=POOL),
        lambda story: story.fault("term", 1.5, 1.6, victims=[SUPERVISOR]),
        lambda story: story.fault("out of memory", 1.5, 1.6, victims=[WORKER]),
        lambda story: story.freeze(1.2, WORKER),
        lambda story: story.kill(1.5, SUPERVISOR, "supervisor"),
        lambda story: story.kill(1.5, SUPERVISOR, "pool", victims=POOL),
    ],
    ids=["outage", "cut off", "term", "memory", "frozen", "supervisor", "pool"],
)
def test_it_is_not_when_something_had_hit_its_worker(blow):
    assert not overlaps(blow(Story().sent("a").start("a", 1)).run("a", 2, 4, OTHER))


@pytest.mark.parametrize(
    "blow",
    [
        lambda story: story.fault("out of memory", 1.5, 1.6, victims=[OTHER]),
        lambda story: story.fault("late", 2.5, 2.6, effect="cut"),
        lambda story: story.fault("slow database", 1.2, 1.8, effect="slow"),
        lambda story: story.fault("enqueuer-kill", 1.2, 1.8),
        lambda story: story.kill(1.5, KEEPER, "keeper"),
        lambda story: story.freeze(1.2, KEEPER),
        lambda story: story.kill(0.5, WORKER),
    ],
    ids=["another worker", "later", "slow", "enqueuer", "keeper", "keeper frozen", "earlier"],
)
def test_it_is_when_what_happened_could_not_have_ended_it(blow):
    assert overlaps(blow(Story().sent("a").start("a", 1)).run("a", 2, 4, OTHER))


def test_a_task_that_kills_its_worker_is_held_to_have_done_so():
    assert not overlaps(Story().sent("a", kind="boom").start("a", 1).run("a", 2, 4, OTHER))
    assert not overlaps(Story().sent("a", kind="rude").start("a", 1).run("a", 2, 4, OTHER))


def test_a_run_is_over_when_its_worker_has_gone_on_to_another():
    story = Story().sent("a", "b").start("a", 1).start("b", 1.5)
    assert not overlaps(story.run("a", 2, 4, OTHER))
    story = Story().sent("a", "b").start("a", 1).start("b", 2.5)
    assert overlaps(story.run("a", 2, 4, OTHER))


# Frozen and woken


def frozen(woken_until, *victims, thawed=8):
    """A run frozen at 2, taken over from 6 to 10, and heard of again after the thaw."""
    story = Story().sent("a").start("a", 1).freeze(2, *victims).start("a", 6, WORKER_B)
    story.thaw(thawed, *victims)
    return story.end("a", woken_until).end("a", 10, WORKER_B)


def test_a_pool_that_was_frozen_as_a_whole_may_be_at_it_for_a_tick_after_it_woke():
    verdict = frozen(8.3, *POOL).verdict()
    assert not verdict.violations["overlaps"]
    (allowed,) = verdict.allowed_overlaps
    assert "for 0.300 s" in allowed.text
    assert verdict.ok  # the second end is explained by the freeze


def test_longer_than_a_tick_after_it_woke_is_an_overlap():
    verdict = frozen(8.6, *POOL).verdict()
    assert "for 0.600 s" in verdict.violations["overlaps"][0].text
    assert not verdict.allowed_overlaps


def test_a_worker_frozen_alone_must_not_be_at_it_at_all_after_it_woke():
    assert "for 0.300 s" in overlaps(frozen(8.3, WORKER))[0]
    assert overlaps(frozen(8.3, WORKER, KEEPER))


def test_while_it_is_frozen_it_does_not_overlap():
    story = Story().sent("a").start("a", 1).freeze(2, *POOL).run("a", 6, 7, WORKER_B)
    verdict = story.thaw(8, *POOL).kill(8.2, WORKER, since=round(8.1e9)).verdict()
    assert not verdict.violations["overlaps"]
    assert not verdict.allowed_overlaps


def test_what_was_taken_over_before_the_freeze_overlapped_before_it():
    story = Story().sent("a").start("a", 1).start("a", 1.5, WORKER_B).freeze(2, *POOL)
    story.thaw(8, *POOL).end("a", 8.1).end("a", 10, WORKER_B)
    assert "for 0.600 s" in overlaps(story)[0]


def test_one_tick_is_allowed_after_each_freeze_and_not_a_freeze_later():
    story = Story().sent("a").start("a", 1).freeze(2, *POOL).start("a", 6, WORKER_B)
    story.thaw(8, *POOL).tick("a", 8.1).freeze(8.2, *POOL).thaw(20, *POOL)
    verdict = story.end("a", 20.1).end("a", 21, WORKER_B).verdict()
    assert not verdict.violations["overlaps"]
    assert "for 0.300 s" in verdict.allowed_overlaps[0].text
