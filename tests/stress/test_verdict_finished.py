"""Each finished task that is kept has one row, and no other has one: both sides of each rule."""

import pytest

from stress.checker import FinishedRow, ResultRow, TaskRow
from tests.stress.histories import OTHER, WORKER_B, Story, failed


def story(*runs, kind="archived"):
    """A task that is kept when it is done, with these runs: when each began and ended, where."""
    told = Story().sent("a", kind=kind)
    for attempt, (began, ended, pid) in enumerate(runs, 1):
        told.run("a", began, ended, pid, attempt=attempt)
    return told


def wrong(story, *rows, finished=(), **state):
    verdict = story.verdict(*rows, finished=tuple(finished), **state)
    return [each.text for each in verdict.violations["wrong_finished"]]


RUN, SECOND_RUN = (1, 2, OTHER), (3, 4, WORKER_B)
ROW = FinishedRow("a", 1)


def test_what_is_done_is_kept():
    assert story(RUN).verdict(finished=(ROW,)).ok
    verdict = story(RUN).verdict()
    assert verdict.broken() == ["wrong_finished"]
    (finding,) = verdict.violations["wrong_finished"]
    assert finding.text == "a is done, and its finished row is nowhere"
    assert finding.keys == ("a",)


def test_it_is_kept_once():
    assert wrong(story(RUN), finished=[ROW, ROW]) == ["a has 2 finished rows"]


def test_what_is_lost_or_failed_or_waits_is_not_missing():
    assert story().verdict().broken() == ["lost"]
    raised = story().start("a", 1).note("raised", 2, 102, key="a", error="X")
    assert wrong(raised, failed("a", "X", losses=0)) == []
    assert wrong(story(RUN), TaskRow("a", "READY")) == []


@pytest.mark.parametrize("state", ["READY", "RUNNING", "FAILED", "BLOCKED"])
def test_what_has_not_finished_is_not_kept(state):
    assert wrong(story(RUN), TaskRow("a", state), finished=[ROW]) == [
        f"a has a finished row, and is in the table as {state}"
    ]


def test_what_has_not_ended_or_was_rolled_back_is_not_kept():
    began = story().start("a", 1, attempt=1).kill(2)
    rolled_back = Story().intended("a", kind="archived").note("rollback", 0.5, key="a")
    for told in (story(), began, rolled_back):
        assert wrong(told, finished=[ROW]) == ["a has a finished row, and no run of it has ended"]


def test_a_kind_that_is_not_kept_has_no_row():
    plain = Story().sent("a").run("a", 1, 2, attempt=1)
    assert plain.verdict().ok
    assert wrong(plain, finished=[ROW]) == [
        "a has a finished row, and is of a kind that keeps none"
    ]


def test_of_two_runs_to_the_end_the_last_is_kept():
    twice = story(RUN).kill(2.1, OTHER).run("a", *SECOND_RUN, attempt=2)
    assert twice.verdict(finished=(FinishedRow("a", 2),)).ok
    assert wrong(twice, finished=[ROW]) == [
        "a has a finished row, of attempt 1, which had lost it to 2"
    ]


def test_the_row_has_the_attempt_of_a_run_that_ended():
    told = story(RUN).start("a", 3, attempt=2).note("raised", 4, 102, key="a", error="X")
    for attempt in (2, 3):
        assert wrong(told, finished=[FinishedRow("a", attempt)]) == [
            f"a has a finished row, of attempt {attempt}, and that has not ended"
        ]


def test_one_that_was_removed_before_its_end_was_written_is_not_kept():
    told = story(RUN).kill(2.1, OTHER).note("cancelling", 3, key="a")
    assert told.verdict().broken() == []


def test_the_row_has_the_result_of_a_task_that_keeps_that_too_and_of_no_other():
    value = {"key": "a", "attempt": 1}
    both = story(RUN, kind="archived-kept")
    kept = (ResultRow("a", value),)
    assert both.verdict(results=kept, finished=(FinishedRow("a", 1, value),)).ok
    for other in (None, {"key": "a", "attempt": 2}):
        assert wrong(both, results=kept, finished=[FinishedRow("a", 1, other)]) == [
            f"a has a finished row, with the value {other!r}"
        ]
    assert wrong(story(RUN), finished=[FinishedRow("a", 1, value)])


def test_a_failover_may_take_an_attempt_back_and_so_its_number_comes_again():
    told = story().start("a", 12, OTHER, attempt=2).kill(13, OTHER)
    told.fault("lossy-failover", 10, 15, effect="cut")
    told.note("failover", 15, copied=round(10e9), lost=round(14e9))
    told.run("a", 20, 21, WORKER_B, attempt=1)
    assert told.verdict(finished=(ROW,), entries={"a"}).ok
