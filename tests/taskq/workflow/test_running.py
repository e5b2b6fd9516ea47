"""Workflows run: values are passed on, and a failure stops what waits for it."""

from __future__ import annotations

import pytest

from taskq.celery import AsyncResult
from taskq.models import Edge, SentWorkflow, State, Task
from taskq.testing import run_all
from taskq.workflow import Workflow, send_again

pytestmark = [pytest.mark.usefixtures("registered"), pytest.mark.django_db]


def result_of(step, sent):
    return AsyncResult(sent.task_ids[step.index])


def left():
    return sorted(Task.objects.values_list("name", "state"))


def test_values_are_passed_on(tasks):
    flow = Workflow("sum")
    parts = [flow.add(tasks.note, [f"part {i}", i]) for i in range(5)]
    whole = flow.add(tasks.total, [flow.results(parts)], {"bonus": parts[4].result})
    last = flow.add(tasks.note, ["last", {"deep": [whole.result, "text"]}])
    sent = flow.send()
    assert Task.objects.filter(state=State.BLOCKED).count() == 2
    run_all()
    assert result_of(whole, sent).get() == 14
    assert result_of(last, sent).get() == {"deep": [14, "text"]}
    assert tasks.ran[-2:] == ["total", "last"]
    assert len(tasks.ran) == 7
    assert left() == []
    assert not Edge.objects.exists()
    sent.refresh_from_db()
    assert sent.finished_at is not None


def test_order_without_values(tasks):
    flow = Workflow()
    first = flow.add(tasks.note, ["first"])
    second = flow.add(tasks.note, ["second"], after=[first])
    flow.add(tasks.note, ["third"], after=[first, second])
    flow.send()
    run_all()
    assert tasks.ran == ["first", "second", "third"]


def test_a_failure_stops_what_waits_and_a_retry_goes_on(tasks):
    tasks.fail.add("first")
    flow = Workflow()
    first = flow.add(tasks.note, ["first"])
    flow.add(tasks.note, ["second", first.result])
    sent = flow.send()
    run_all(propagate=False)
    assert tasks.ran == ["first"]
    assert Task.objects.get(pk=sent.task_ids[1]).state == State.BLOCKED
    tasks.fail.clear()
    assert sent.retry_failed() == 1
    run_all()
    assert tasks.ran == ["first", "first", "second"]
    assert left() == []


def test_a_step_that_waits_for_a_failure(tasks):
    for fails in (True, False):
        tasks.ran.clear()
        tasks.fail = {"first"} if fails else set()
        flow = Workflow()
        first = flow.add(tasks.note, ["first"])
        flow.add(tasks.note, ["mourn"], after=[first], on="failed")
        flow.add(tasks.note, ["either"], after=[first], on="ended")
        flow.send()
        run_all(propagate=False)
        expected = ["either", "first", "mourn"] if fails else ["either", "first"]
        assert sorted(tasks.ran) == expected
        # What waited for the other end is gone, as a keeper removes it.
        assert left() == ([(tasks.note.name, State.FAILED)] if fails else [])
        Task.objects.all().delete()


def test_it_goes_on_after_a_failure(tasks):
    tasks.fail.add("bad")
    flow = Workflow()
    bad = flow.add(tasks.note, ["bad"], if_fails="go on")
    good = flow.add(tasks.note, ["good", 3])
    last = flow.add(tasks.note, ["last", [bad.result, good.result]])
    sent = flow.send()
    run_all(propagate=False)
    assert result_of(last, sent).get() == [None, 3]


@pytest.mark.parametrize("fails", [True, False])
def test_another_step_runs_instead(tasks, fails):
    if fails:
        tasks.fail.add("first")
    flow = Workflow()
    first = flow.add(tasks.note, ["first", 1])
    flow.add(tasks.note, ["instead", 2], instead_of=first)
    last = flow.add(tasks.note, ["last", [first.result]])
    sent = flow.send()
    run_all(propagate=False)
    assert result_of(last, sent).get() == ([2] if fails else [1])
    assert ("instead" in tasks.ran) == fails


def test_a_workflow_in_a_workflow(tasks):
    inner = Workflow()
    one = inner.add(tasks.note, ["one", 1])
    inner.add(tasks.note, ["two", one.result])
    outer = Workflow()
    first = outer.add(tasks.note, ["first"])
    *_, last = outer.include(inner, after=[first])
    again = outer.include(inner, after=[last])
    sent = outer.send()
    run_all()
    assert tasks.ran == ["first", "one", "two", "one", "two"]
    assert result_of(again[-1], sent).get() == 1


def test_a_countdown_counts_from_the_release(tasks):
    flow = Workflow()
    first = flow.add(tasks.note, ["first"])
    flow.add(tasks.note, ["second"], after=[first], countdown=600)
    sent = flow.send()
    run_all()
    second = Task.objects.get(pk=sent.task_ids[1])
    assert second.state == State.READY
    assert 500 < (second.execute_at - second.created_at).total_seconds() < 700


def test_cancel_removes_what_waits(tasks):
    flow = Workflow()
    first = flow.add(tasks.note, ["first"])
    flow.add(tasks.note, ["second"], after=[first])
    sent = flow.send()
    assert sent.cancel().removed == 2
    assert left() == []
    assert not Edge.objects.exists()
    assert SentWorkflow.objects.get().cancelled_at is not None


def test_it_is_sent_again_as_a_whole(tasks):
    tasks.fail.add("first")
    flow = Workflow("again", deadline=3600)
    first = flow.add(tasks.note, ["first"])
    second = flow.add(tasks.note, ["second", [first.result]])
    sent = flow.send()
    run_all(propagate=False)
    tasks.fail.clear()
    again = send_again(sent)
    assert (again.name, again.pk > sent.pk) == ("again", True)
    assert 3590 < (again.deadline - again.created_at).total_seconds() < 3610
    run_all()
    assert result_of(second, again).get() == ["first"]
    assert sent.steps_left().count() == 2  # the first one is as it was
