"""What was cancelled must not start again: each rule from both sides."""

import pytest

from stress.checker import TaskRow
from tests.stress.histories import OTHER, WORKER_B, Story, failed


def cancelled(story, key, at, outcome, attempt=None):
    story.note("cancelling", at, key=key)
    return story.note("cancel", at + 0.1, key=key, outcome=outcome, attempt=attempt)


def row(key, **fields):
    fields = {"losses": 0, "cancelled": True, **fields}
    return TaskRow(key, "FAILED", error="cancelled", **fields)


def test_what_was_removed_before_it_ran_is_not_lost():
    assert cancelled(Story().sent("a"), "a", 1, "removed").verdict().ok


def test_what_was_only_asked_to_end_or_was_too_late_may_not_be_gone():
    for outcome in ("asked", "late"):
        verdict = cancelled(Story().sent("a"), "a", 1, outcome).verdict()
        assert verdict.broken() == ["lost"]


def test_a_cancel_of_which_nobody_lived_to_tell_may_have_removed_it():
    assert Story().sent("a").note("cancelling", 1, key="a").verdict().ok
    assert Story().sent("a").note("cancelling", 1, key="b").verdict().broken() == ["lost"]
    # Or else it had come to nothing.
    assert Story().sent("a").note("cancelling", 1, key="a").run("a", 2, 3).verdict().ok


def test_what_was_removed_must_not_start():
    story = cancelled(Story().sent("a"), "a", 1, "removed").run("a", 2, 3)
    (found,) = story.verdict().violations["uncancelled"]
    assert found.text == "a was cancelled (removed), and started after that in process 102"
    assert found.keys == ("a",)


def test_what_was_removed_may_have_run_before():
    """Killed, given back, and removed before it was claimed again."""
    story = Story().sent("a").start("a", 1, attempt=1).kill(2)
    assert cancelled(story, "a", 3, "removed").verdict().ok


def test_an_end_before_the_worker_was_killed_does_not_undo_a_removal():
    story = Story().sent("a").run("a", 1, 1.9, attempt=1).kill(2)
    assert cancelled(story, "a", 3, "removed").verdict().ok


@pytest.mark.parametrize(("attempt", "fine"), [(1, True), (2, False)])
def test_a_run_that_was_asked_to_end_may_be_about_to_begin_but_no_later_one(attempt, fine):
    story = cancelled(Story().sent("a"), "a", 1, "asked", attempt=1)
    story.start("a", 2, attempt=attempt).note("raised", 2.1, 102, key="a", error="TaskCancelled")
    assert story.verdict(row("a")).broken() == ([] if fine else ["uncancelled"])


def test_a_run_that_ended_before_it_could_be_asked_leaves_nothing_to_start():
    story = cancelled(Story().sent("a").run("a", 0.5, 1.05, attempt=1), "a", 1, "asked")
    assert story.verdict().ok
    story.kill(1.2).run("a", 2, 3, OTHER, attempt=2)
    assert story.verdict().broken() == ["uncancelled"]


def test_one_that_came_too_late_says_nothing_about_the_runs():
    story = Story().sent("a").run("a", 0.2, 0.8, attempt=1)
    assert cancelled(story, "a", 1, "late").verdict().ok


def test_what_is_kept_as_cancelled_did_not_fail_for_no_reason():
    story = Story().sent("a").start("a", 0.5, attempt=1).note("raised", 1.3, 102, key="a")
    cancelled(story, "a", 1, "asked", attempt=1)
    assert story.verdict(row("a")).ok
    assert story.verdict(failed("a", "E", losses=0)).broken() == ["wrong_outcome"]


def test_what_is_cancelled_was_cancelled_by_somebody():
    story = Story().sent("a").start("a", 0.5).note("raised", 1.3, 102, key="a")
    (found,) = story.verdict(row("a")).violations["uncancelled"]
    assert found.text == "a is cancelled, and nobody asked for it"


def test_a_cancelled_task_is_charged_with_nothing_for_the_kill():
    story = Story().sent("a", kind="rude").start("a", 0.5, attempt=1, losses=0)
    cancelled(story, "a", 1, "asked", attempt=1)
    story.note("death", 2, victim=102, role="worker", cause="seen", since=1.9)
    assert story.verdict(row("a")).ok
    left_to_run = TaskRow("a", "READY", cancelled=True)
    assert story.verdict(left_to_run).broken() == ["stuck"]


def test_a_cancel_that_outlives_its_pool():
    story = Story().sent("a").start("a", 0.5, attempt=1)
    cancelled(story, "a", 1, "asked", attempt=1).kill(1.5)
    assert story.verdict(row("a")).ok
    story.run("a", 3, 4, WORKER_B, attempt=2)
    assert story.verdict().broken() == ["uncancelled"]
