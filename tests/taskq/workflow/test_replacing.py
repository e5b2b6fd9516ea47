"""A running task puts a graph in its place, or sends one more part beside itself."""

from __future__ import annotations

import pytest

from taskq.celery import AsyncResult, shared_task
from taskq.models import Edge, SentWorkflow, Task
from taskq.task import registry
from taskq.testing import run_all
from taskq.workflow import Workflow, replacing
from taskq.workflow.graph import Graph

pytestmark = [pytest.mark.usefixtures("registered"), pytest.mark.django_db]


def definition(task):
    return registry.find(task.name)


@pytest.fixture
def growing(tasks):
    """A task that is replaced: by the sum of as many parts as it is told."""

    @shared_task(name="growing", ignore_result=False)
    def grow(count):
        tasks.ran.append("grow")
        graph = Graph()
        parts = [graph.add(definition(tasks.note), [f"part {i}", i]) for i in range(count)]
        last = graph.add(definition(tasks.total), [graph.outputs(parts)])
        raise replacing.Replace(graph, last)

    return grow


def test_its_result_is_that_of_the_last_step(tasks, growing):
    result = growing.delay(4)
    run_all()
    assert result.get() == 6
    assert tasks.ran[0] == "grow"
    assert tasks.ran[-1] == "total"
    assert len(tasks.ran) == 6
    assert not Task.objects.exists()
    assert not Edge.objects.exists()


def test_what_waits_for_it_waits_for_that(tasks, growing):
    flow = Workflow()
    grown = flow.add(growing, [3])
    last = flow.add(tasks.note, ["last", [grown.result]])
    sent = flow.send()
    run_all()
    assert AsyncResult(sent.task_ids[last.index]).get() == [3]
    assert SentWorkflow.objects.count() == 1  # the new steps are of the same workflow


def test_a_single_task_takes_its_place(tasks):
    @shared_task(name="handing_over", ignore_result=False)
    def hand_over():
        graph = Graph()
        raise replacing.Replace(graph, graph.add(definition(tasks.note), ["other", 5]))

    result = hand_over.delay()
    run_all()
    assert result.get() == 5


def test_a_part_that_is_added_is_waited_for(tasks):
    @shared_task(name="adding")
    def more(value):
        replacing.add_part(definition(tasks.note), [f"added {value}", 10 * value])
        return value

    flow = Workflow()
    parts = [flow.add(more, [i]) for i in (1, 2)]
    total = flow.add(tasks.total, [flow.results(parts)])
    sent = flow.send()
    run_all()
    assert AsyncResult(sent.task_ids[total.index]).get() == 33
    assert not Edge.objects.exists()


def test_outside_of_a_workflow_no_part_can_be_added(tasks):
    with pytest.raises(RuntimeError, match="no step of a workflow runs here"):
        replacing.add_part(definition(tasks.note), ["x"])


def test_the_last_step_must_be_the_last(tasks):
    graph = Graph()
    first = graph.add(definition(tasks.note), ["x"])
    graph.add(definition(tasks.note), ["y"])
    with pytest.raises(ValueError, match="is not the last step"):
        replacing.Replace(graph, first)
