"""Bad graphs get a clear error at the call, and nothing is sent."""

from __future__ import annotations

import pytest

from taskq import limits
from taskq.celery import shared_task
from taskq.models import SentWorkflow, Task
from taskq.task.payload import PayloadError
from taskq.workflow import Workflow
from tests.project.lab import tasks as lab

pytestmark = [pytest.mark.usefixtures("registered"), pytest.mark.django_db]


@pytest.fixture(autouse=True)
def nothing_is_sent():
    yield
    assert not Task.objects.exists()
    assert not SentWorkflow.objects.exists()


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 256, 7, None, b"a"])
def test_a_name_that_cannot_be_stored(name):
    with pytest.raises((TypeError, ValueError), match=r"name is .*: give a text of at most 255"):
        Workflow(name)


@pytest.mark.parametrize("task", [print, "app.tasks.add", None, object()])
def test_a_step_that_is_no_task(task):
    with pytest.raises(TypeError, match=r"is no task: give a function with @shared_task"):
        Workflow().add(task)


def test_arguments_that_do_not_fit():
    flow = Workflow()
    with pytest.raises(TypeError, match=r"step 0: .*add: missing a required argument: 'b'"):
        flow.add(lab.add, [1])
    part = flow.add(lab.add, [1, 2])
    with pytest.raises(TypeError, match="too many positional arguments"):
        flow.add(lab.add, [part.result, 2, 3])


def test_a_step_of_another_workflow():
    other = Workflow().add(lab.add, [1, 2])
    with pytest.raises(TypeError, match="it is of another graph, or comes later"):
        Workflow().add(lab.add, [other.result, 1])


def test_a_unique_task():
    with pytest.raises(TypeError, match="the task is unique"):
        Workflow().add(lab.count_orders, [1])


def test_arguments_that_cannot_be_stored():
    flow = Workflow()
    flow.add(lab.add, [1, 2])
    flow.add(lab.add, [object(), 2])
    with pytest.raises(PayloadError, match=r"step 1 \(.*add\): .*args\[0\]"):
        flow.send()


def test_no_steps():
    with pytest.raises(ValueError, match="the workflow has no steps"):
        Workflow().send()


def test_too_many_steps(monkeypatch):
    monkeypatch.setattr(limits, "STEPS", 3)
    flow = Workflow()
    for _ in range(3):
        flow.add(lab.add, [1, 2])
    with pytest.raises(ValueError, match=r"at most 3 steps, not 4: give each more to do"):
        flow.add(lab.add, [1, 2])
    with pytest.raises(ValueError, match="at most 3 steps, not 6"):
        flow.include(flow)


def test_words_that_are_none():
    flow = Workflow()
    with pytest.raises(ValueError, match="on is 'success': give 'done', 'failed' or 'ended'"):
        flow.add(lab.add, [1, 2], on="success")
    with pytest.raises(ValueError, match="if_fails is 'continue': give 'stop' or 'go on'"):
        flow.add(lab.add, [1, 2], if_fails="continue")


def test_an_alternative_comes_before_what_waits():
    flow = Workflow()
    first = flow.add(lab.add, [1, 2])
    flow.add(lab.add, [first.result, 2])
    with pytest.raises(ValueError, match=r"step 1 waits for step 0 .* already"):
        flow.add(lab.add, [1, 2], instead_of=first)


def test_a_deadline_that_is_none():
    flow = Workflow(deadline="tomorrow")
    flow.add(lab.add, [1, 2])
    with pytest.raises(ValueError, match="deadline is 'tomorrow'"):
        flow.send()


def test_a_result_that_cannot_be_passed_on_fails_its_step():
    from taskq.testing import run_all

    @shared_task(max_retries=0)
    def thing():
        return object()

    flow = Workflow()
    first = flow.add(thing)
    flow.add(lab.trace, [first.result])
    sent = flow.send()
    run_all(propagate=False)
    failed, waiting = Task.objects.order_by("pk")
    assert "cannot be kept" in failed.error
    assert waiting.inputs is None
    assert sent.cancel().removed == 1
    failed.delete()
    sent.delete()
