"""What was lost, what ran though it must not, what ran again, what effects there are."""

import pytest

from stress.checker import TaskRow
from tests.stress.histories import OTHER, OTHER_B, POOL, SUPERVISOR, WORKER, WORKER_B, Story, failed


def keys(verdict, name):
    return [key for finding in verdict.violations[name] for key in finding.keys]


# Lost


def test_a_committed_task_that_ended_is_not_lost():
    assert Story().sent("a").run("a", 1, 2).verdict().ok


def test_a_committed_task_that_never_ran_and_is_nowhere_is_lost():
    verdict = Story().sent("a", "b").run("b", 1, 2).verdict()
    assert keys(verdict, "lost") == ["a"]
    assert verdict.broken() == ["lost"]


def test_a_task_whose_only_run_was_killed_and_that_is_nowhere_is_lost():
    verdict = Story().sent("a").start("a", 1).kill(2).verdict()
    assert verdict.violations["lost"][0].text == (
        "a was committed, and is nowhere (1 runs, none to the end)"
    )


def test_a_task_that_raised_and_is_nowhere_is_lost():
    story = Story().sent("a").start("a", 1).note("raised", 2, WORKER, key="a", error="X")
    assert keys(story.verdict(), "lost") == ["a"]


def test_a_failed_task_that_is_in_the_table_is_not_lost():
    story = Story().sent("a", kind="grumpy").start("a", 1)
    story.note("raised", 2, WORKER, key="a", error="ValueError")
    assert story.verdict(failed("a", "ValueError: no", losses=0)).ok


def test_the_entries_decide_for_an_enqueuer_that_could_not_say():
    story = Story().intended("a", "b")
    verdict = story.verdict(entries={"a"})
    assert keys(verdict, "lost") == ["a"]
    assert verdict.counts["undetermined"] == 2
    assert (verdict.counts["committed"], verdict.counts["rolled_back"]) == (1, 1)


def test_an_entry_outweighs_a_rollback_that_came_too_late():
    story = Story().intended("a").note("rollback", 1, key="a")
    assert keys(story.verdict(entries={"a"}), "lost") == ["a"]
    assert story.run("a", 2, 3).verdict(entries={"a"}).ok


def test_a_commit_whose_entry_is_gone_is_lost_though_its_task_ran():
    verdict = Story().sent("a").run("a", 1, 2).verdict(entries=set())
    assert keys(verdict, "lost") == ["a"]


def test_without_entries_who_could_not_say_is_held_to_neither():
    story = Story().intended("a", "b")
    assert story.run("b", 1, 2).verdict().ok


def test_one_record_may_be_about_several_tasks():
    story = Story().note("commit", 0, keys=["a", "b"]).run("a", 1, 2)
    assert keys(story.verdict(), "lost") == ["b"]


def test_only_those_that_said_nothing_are_undetermined():
    verdict = Story().sent("a").run("a", 1, 2).intended("b").verdict()
    assert verdict.counts["undetermined"] == 1


# Ghosts


def test_a_rollback_needs_no_intent_to_be_known():
    (finding,) = Story().note("rollback", 1, key="a").run("a", 2, 3).verdict().violations["ghosts"]
    assert finding.text == "a ran, and was never committed"


def test_a_task_that_ran_though_it_was_rolled_back_is_a_ghost():
    story = Story().intended("a").note("rollback", 1, key="a")
    assert story.verdict().ok
    assert keys(story.run("a", 2, 3).verdict(), "ghosts") == ["a"]


def test_a_row_that_was_rolled_back_is_a_ghost_before_it_runs():
    story = Story().intended("a").note("rollback", 1, key="a")
    assert keys(story.verdict(failed("a", "X: y", losses=0)), "ghosts") == ["a"]


def test_a_task_of_a_killed_enqueuer_that_has_no_entry_is_a_ghost():
    story = Story().intended("a").run("a", 2, 3)
    assert keys(story.verdict(entries=set()), "ghosts") == ["a"]
    assert story.verdict(entries={"a"}).ok


def test_a_task_that_nobody_sent_is_a_ghost():
    (finding,) = Story().run("a", 1, 2).verdict().violations["ghosts"]
    assert finding.text == "a ran, and nobody sent it"


# Stuck


@pytest.mark.parametrize("state", ["READY", "RUNNING"])
def test_a_task_that_is_left_to_be_run_is_stuck_but_not_lost(state):
    verdict = Story().sent("a").verdict(TaskRow("a", state))
    assert verdict.broken() == ["stuck"]


# Duplicates


def twice():
    return Story().sent("a").run("a", 1, 2)


def seen_to_die(story):
    return story.note("death", 2.5, victim=WORKER, cause="seen")


@pytest.mark.parametrize(
    "blow",
    [
        lambda story: story.kill(2.5),
        lambda story: story.kill(1.5, since=round(1.5e9)),
        lambda story: story.kill(2.1, SUPERVISOR, "supervisor"),
        lambda story: story.kill(2.1, SUPERVISOR, "pool", victims=POOL),
        lambda story: story.freeze(1.5, WORKER),
        lambda story: story.fault("restart", 1.5, 3, effect="cut"),
        lambda story: story.fault("proxy", 2.5, 9, effect="cut", victims=POOL),
        lambda story: seen_to_die(story.start("b", 2.1)),
    ],
    ids="after within supervisor pool frozen outage cut-off seen".split(),
)
def test_a_second_end_is_explained_by_what_hit_its_first_worker(blow):
    story = blow(twice().sent("b", kind="rude"))
    assert story.run("a", 10, 11, OTHER).run("b", 12, 13, OTHER).verdict().ok


@pytest.mark.parametrize(
    "blow",
    [
        lambda story: story,
        lambda story: story.kill(2.5, OTHER),
        lambda story: seen_to_die(story),
        lambda story: story.kill(0.5),
        lambda story: story.kill(3.5),
        lambda story: story.freeze(1.5, OTHER, SUPERVISOR),
        lambda story: story.fault("restart", 3.5, 4, effect="cut"),
        lambda story: story.fault("slow", 1.5, 4, effect="slow"),
        lambda story: story.fault("proxy", 1.5, 9, effect="cut", victims=[WORKER_B]),
        lambda story: story.fault("enqueuer-kill", 1, 9),
    ],
    ids="none other left before late others later slow others-cut enqueuer".split(),
)
def test_a_second_end_is_not_explained_by_anything_else(blow):
    verdict = blow(twice()).run("a", 10, 11, OTHER).verdict()
    assert verdict.broken() == ["unexplained_duplicates"]


def test_an_atomic_task_that_ended_may_have_died_before_its_commit():
    """Its lease ran out, say, while the database was slow to commit."""
    story = seen_to_die(Story().sent("a", kind="ship").run("a", 1, 2)).run("a", 10, 11, OTHER)
    assert story.verdict(effects={"a": 1}).ok


def test_but_not_if_its_process_ran_another_task_after_it():
    story = Story().sent("a", kind="ship").sent("b").run("a", 1, 2).run("b", 2.1, 2.2)
    story = seen_to_die(story).run("a", 10, 11, OTHER)
    assert story.verdict(effects={"a": 1}).broken() == ["unexplained_duplicates"]


@pytest.mark.parametrize(("ended", "fine"), [(7.5, True), (6.5, False)])
def test_an_outage_explains_what_happens_until_a_lease_after_its_end(ended, fine):
    story = Story().sent("a").fault("restart", 5, ended, effect="cut").run("a", 11, 12)
    assert story.run("a", 20, 21, OTHER).verdict().ok is fine


def test_a_second_start_after_an_end_needs_a_cause_too():
    verdict = twice().start("a", 10, OTHER).kill(11, OTHER).verdict()
    assert verdict.broken() == ["unexplained_duplicates"]


def test_of_three_ends_each_but_the_last_needs_a_cause():
    story = twice().kill(2.5).run("a", 3, 4, OTHER).run("a", 5, 6, WORKER_B)
    assert len(story.verdict().violations["unexplained_duplicates"]) == 1


def test_a_retry_after_a_raised_run_is_no_duplicate():
    story = Story().sent("a").start("a", 1).note("raised", 2, WORKER, key="a", error="X")
    assert story.run("a", 3, 4).verdict().ok


def test_a_later_run_in_its_process_that_vanished_shows_that_it_died():
    # A batch: "a" is done and not written yet when "b" takes the worker down unseen.
    story = Story().sent("a").sent("b", kind="rude").run("a", 1, 1.1).start("b", 1.2)
    story.run("b", 2, 2.1, OTHER).run("a", 2.2, 2.3, OTHER)
    assert story.verdict().ok


def test_a_later_run_in_its_process_that_ended_shows_that_it_did_not():
    story = Story().sent("a", "b").run("a", 1, 1.1).run("b", 1.2, 1.3)
    story.run("a", 2.2, 2.3, OTHER)
    assert story.verdict().broken() == ["unexplained_duplicates"]


# Fenced finishes


def superseded():
    """Frozen in the middle, taken over, and ended all the same."""
    return (
        Story()
        .sent("a")
        .start("a", 1)
        .freeze(2, *POOL)
        .start("a", 6, WORKER_B)
        .thaw(7, *POOL)
        .end("a", 7.1)
    )


def test_a_run_that_was_taken_over_cannot_be_the_one_that_finished_its_task():
    assert superseded().kill(8, WORKER_B).verdict().broken() == ["unfenced_finishes"]


def test_the_one_that_took_it_over_can():
    assert superseded().end("a", 8, WORKER_B).verdict().ok
    assert superseded().kill(8, WORKER_B).run("a", 9, 10, OTHER_B).verdict().ok


# Atomic


def shipped():
    return Story().sent("a", kind="ship").run("a", 1, 2)


def test_an_atomic_task_that_is_done_has_one_effect():
    assert shipped().verdict(effects={"a": 1}).ok
    assert shipped().kill(2.1).run("a", 3, 4, OTHER).verdict(effects={"a": 1}).ok


def test_an_atomic_task_that_is_done_without_an_effect_is_lost():
    assert shipped().verdict().broken() == ["lost"]


def test_two_effects_are_a_mismatch_however_often_it_ran():
    story = shipped().kill(2.1).run("a", 3, 4, OTHER)
    assert story.verdict(effects={"a": 2}).broken() == ["atomic_mismatch"]


def test_an_effect_without_the_completion_is_a_mismatch():
    row = failed("a", "killed by SIGKILL")
    story = Story().sent("a", kind="ship")
    for at in (1, 2, 3):
        story.start("a", at).kill(at + 0.5)
    assert story.verdict(row).ok
    assert story.verdict(row, effects={"a": 1}).broken() == ["atomic_mismatch"]


def test_an_effect_of_a_task_that_was_rolled_back_is_a_mismatch():
    story = Story().note("intent", 0, key="a", task="ship").note("rollback", 1, key="a")
    assert story.verdict(effects={"a": 1}).broken() == ["atomic_mismatch"]
