"""Who is done has its result, and nobody else has one: each rule from both sides."""

import pytest

from stress.checker import ResultRow, TaskRow
from tests.stress.histories import OTHER, WORKER_B, Story, failed


def story(*runs):
    """A task that keeps its result, with these runs: when each began and ended, and where."""
    told = Story().sent("a", kind="kept")
    for attempt, (began, ended, pid) in enumerate(runs, 1):
        told.run("a", began, ended, pid, attempt=attempt)
    return told


def result(key="a", attempt=1, **value):
    return ResultRow(key, {"key": key, "attempt": attempt, **value})


def wrong(story, *rows, results=()):
    verdict = story.verdict(*rows, results=tuple(results))
    return [each.text for each in verdict.violations["wrong_results"]]


RUN, SECOND_RUN = (1, 2, OTHER), (3, 4, WORKER_B)


def test_what_is_done_has_its_result():
    assert story(RUN).verdict(results=(result(),)).ok
    verdict = story(RUN).verdict()
    assert verdict.broken() == ["wrong_results"]
    (finding,) = verdict.violations["wrong_results"]
    assert finding.text == "a is done, and its result is nowhere"
    assert finding.keys == ("a",)


def test_what_is_lost_or_failed_or_waits_lacks_no_result():
    assert story().verdict().broken() == ["lost"]
    raised = story().start("a", 1).note("raised", 2, 102, key="a", error="X")
    assert wrong(raised, failed("a", "X", losses=0)) == []
    assert wrong(story(RUN), TaskRow("a", "READY")) == []


def test_a_kind_that_keeps_no_result_has_none():
    plain = Story().sent("a").run("a", 1, 2)
    assert plain.verdict().ok
    assert wrong(plain, results=[result()]) == ["a has a result, and is of a kind that keeps none"]


@pytest.mark.parametrize("value", [None, 1, {"key": "a"}, {"key": "b", "attempt": 1}])
def test_a_result_has_the_right_value(value):
    assert wrong(story(RUN), results=[ResultRow("a", value)]) == [
        f"a has a result, {value!r}, which no run of it has returned"
    ]


def test_a_result_has_nothing_beside_the_right_value():
    (text,) = wrong(story(RUN), results=[result(more=1)])
    assert "which no run of it has returned" in text


def test_a_result_is_there_once():
    assert wrong(story(RUN), results=[result(), result()]) == ["a has 2 results"]


@pytest.mark.parametrize("state", ["READY", "RUNNING", "FAILED"])
def test_nothing_is_in_the_table_and_among_the_results(state):
    assert wrong(story(RUN), TaskRow("a", state), results=[result()]) == [
        f"a has a result, and is in the table as {state}"
    ]


def test_what_has_not_ended_has_no_result():
    began = story().start("a", 1, attempt=1).kill(2)
    for told in (story(), began):
        assert wrong(told, results=[result()]) == ["a has a result, and no run of it has ended"]


def test_what_was_rolled_back_has_no_result():
    told = Story().intended("a", kind="kept").note("rollback", 0.5, key="a")
    assert wrong(told, results=[result()]) == ["a has a result, and no run of it has ended"]


def test_of_two_runs_to_the_end_the_last_has_the_result():
    twice = story(RUN).kill(2.1, OTHER).run("a", *SECOND_RUN, attempt=2)
    assert twice.verdict(results=(result(attempt=2),)).ok
    assert wrong(twice, results=[result(attempt=1)]) == [
        "a has a result, of attempt 1, which had lost it to 2"
    ]


def test_who_lost_it_writes_no_result_though_the_later_run_is_killed():
    killed = story(RUN).kill(2.1, OTHER).start("a", 3, WORKER_B, attempt=2).kill(3.5, WORKER_B)
    assert wrong(killed, results=[result(attempt=1)]) == [
        "a has a result, of attempt 1, which had lost it to 2"
    ]


def test_a_run_that_raised_has_not_returned():
    told = story(RUN).start("a", 3, attempt=2).note("raised", 4, 102, key="a", error="X")
    (text,) = wrong(told, results=[result(attempt=2)])
    assert "which no run of it has returned" in text


def test_one_that_was_removed_before_its_end_was_written_has_no_result():
    told = story(RUN).kill(2.1, OTHER).note("cancelling", 3, key="a")
    assert told.verdict().broken() == []
