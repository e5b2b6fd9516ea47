"""Steps that the database refuses to release, drop or end: no other step and no worker suffers."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from stress.rig.pools import wait_until
from taskq.keeper.workflows import WorkflowKeeper
from taskq.models import Edge, EdgeState, SentWorkflow, State, Task
from taskq.store.session import StoreSession
from taskq.workflow import Workflow
from tests.project.lab import steps, tasks

#: Of the steps of this queue nothing may be released.
STUCK = ("UPDATE", "taskq_task", "OLD.state = 3 AND NEW.state = 0 AND NEW.queue = 'stuck'")


def chain(key, part=steps.part, queue=None):
    flow = Workflow(key)
    first = flow.add(part, [f"{key} part", 1])
    flow.add(steps.part, [f"{key} step", first.result], queue=queue)
    return flow.send()


@pytest.mark.parametrize("part", [steps.part, steps.atomic_part])
def test_a_step_that_cannot_be_released_stops_neither_its_part_nor_others(
    start_pool, runs, refusing, part
):
    refusing(*STUCK)
    stuck = chain("bad", part, queue="stuck")
    pool = start_pool("-c", 1, "--heartbeat", 0.5)  # an idle one would look 20 s later
    wait_until(lambda: runs("end", "bad part"))
    chain("good", part)
    tasks.quick.delay("innocent")
    wait_until(lambda: runs("end", "good step") and runs("end", "innocent"))
    wait_until(lambda: Task.objects.count() == 1, what="all others are done")
    assert len(runs("start", "bad part")) == 1
    left = Task.objects.get()
    assert (left.pk, left.state) == (stuck.task_ids[1], State.BLOCKED)
    pool.wait_for_log(f"cannot release #{left.pk}")
    assert "does not answer" not in pool.log()
    assert "could not be written" not in pool.log()


@pytest.fixture
def keeper(transactional_db):
    """A keeper's part in workflows, on a session of its own."""
    session = StoreSession("keeper", "default", 30, direct=False)
    yield WorkflowKeeper(session, every=1.0, between=lambda: None)
    session.close()


def states():
    return dict(Task.objects.values_list("queue", "state"))


def left_unreleased(queue):
    """The step of a chain whose part is done; its worker has died before it released the step."""
    part, step = chain(queue, queue=queue).task_ids
    Task.objects.filter(pk=part).delete()
    Edge.objects.filter(step_id=step).update(state=EdgeState.DONE, value="[[1],{}]")
    return step


def test_a_keeper_releases_the_steps_behind_one_that_cannot_be(keeper, refusing, caplog):
    stuck = left_unreleased("stuck")
    refusing(*STUCK)
    left_unreleased("other")
    assert keeper.tend()
    assert states() == {"stuck": State.BLOCKED, "other": State.READY}
    assert f"keeper: cannot release #{stuck}: " in caplog.text
    assert not keeper.tend()


def test_so_it_does_where_one_cannot_be_told_of_a_failure(keeper, refusing):
    left_unreleased("other")
    flow = Workflow("unheard")
    bad = flow.add(steps.broken, ["bad"])
    flow.add(steps.part, ["errback", 1], after=[bad], on="failed", queue="stuck")
    part, step = flow.send().task_ids
    Task.objects.filter(pk=part).update(state=State.FAILED, failed_at=Now())
    refusing("UPDATE", "taskq_edge", f"NEW.step_id = {step}")
    keeper.tend()
    assert states() == {"stuck": State.BLOCKED, "other": State.READY, "default": State.FAILED}


def test_a_keeper_drops_the_steps_behind_one_that_cannot_be_removed(keeper, refusing):
    for queue in ("kept", "other"):
        part, _ = chain(queue, queue=queue).task_ids
        Task.objects.filter(pk=part).delete()
    refusing("DELETE", "taskq_task", "OLD.queue = 'kept'")
    for _ in range(2):
        keeper.tend()
    assert states() == {"kept": State.BLOCKED}


def test_a_keeper_cancels_and_ends_the_workflows_behind_one_that_refuses(keeper, refusing):
    late = [Workflow(name, deadline=-1) for name in ("kept", "late")]
    for flow in late:
        flow.add(steps.part, [flow._graph.name, 1])
        flow.send()
    over = [chain(name) for name in ("never", "over")]
    Task.objects.exclude(workflow__name__in=["kept", "late"]).delete()
    refusing("UPDATE", "taskq_workflow", "NEW.name IN ('kept', 'never')")
    keeper.tend()
    kept = SentWorkflow.objects.filter(name__in=["kept", "never"])
    assert not kept.exclude(cancelled_at=None, finished_at=None).exists()
    assert SentWorkflow.objects.get(name="late").cancelled_at is not None
    assert SentWorkflow.objects.get(pk=over[1].pk).finished_at is not None


def test_a_step_with_very_many_void_edges_keeps_no_other_from_being_dropped(keeper, monkeypatch):
    """The step waits for the last of many parts, each of which has an alternative."""
    monkeypatch.setattr("taskq.keeper.workflows.SOME", 10)
    flow = Workflow("wide")
    parts = [flow.add(steps.part, [f"part {n}", n], queue="wide") for n in range(30)]
    total = flow.add(steps.gather, ["total", flow.results(parts)], queue="wide")
    step = flow.send().task_ids[-1]
    assert total.index == 30
    # As after the ends of 29 parts, whose alternatives were dropped.
    Edge.objects.bulk_create(
        Edge(step_id=step, place=place, part_id=-1, state=EdgeState.VOID) for place in range(29)
    )
    part, _ = chain("other", queue="other").task_ids
    Task.objects.filter(pk=part).delete()
    for _ in range(8):
        keeper.tend()
    assert not Task.objects.filter(queue="other").exists()
    assert Task.objects.get(pk=step).state == State.BLOCKED
