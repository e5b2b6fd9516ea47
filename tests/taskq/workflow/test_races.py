"""Two at once: whoever ends, releases, cancels or keeps a step, nobody waits in a circle."""

from __future__ import annotations

import threading

import psycopg
import pytest
from django.db import connection, connections

from pool import clock
from pool.finish_log import FinishLog
from taskq import sql
from taskq.keeper.workflows import WorkflowKeeper
from taskq.models import Edge, EdgeState, State, Task
from taskq.querysets import TaskQuerySet
from taskq.store import endings
from taskq.store.workflows import BEGIN
from taskq.worker.batch import Batch
from taskq.workflow import Workflow
from tests.project.lab import tasks as lab
from tests.taskq.workflow.ends import end_in, release_in, run

#: Seconds within which what must not wait is done.
SOON = 60.0


class Aside(threading.Thread):
    """Does something on connections of its own. ``done`` raises what it raised."""

    def __init__(self, act):
        super().__init__(daemon=True)
        self._act, self._error = act, None
        self.start()

    def run(self):
        try:
            self._act()
        except Exception as error:
            self._error = error
        finally:
            connections.close_all()

    def done(self):
        self.join(SOON)
        assert not self.is_alive(), "it still waits"
        if self._error is not None:
            raise self._error


def wait_for_lock(session):
    """Until some transaction waits for a lock of this session."""
    pid = session.info.backend_pid
    look = "SELECT FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
    until = clock.now() + clock.nanoseconds(SOON)
    while clock.now() < until:
        with connection.cursor() as cursor:
            cursor.execute(look, [pid])
            if cursor.rowcount:
                return
    pytest.fail("nobody waits")


def chain(*, alternative=False):
    """A part and a step that waits for it, or for one that runs instead: their ids."""
    flow = Workflow()
    part = flow.add(lab.add, [1, 1])
    if alternative:
        flow.add(lab.add, [2, 2], instead_of=part)
    flow.add(lab.trace, [part.result])
    return flow.send().task_ids


@pytest.mark.postgresql
def test_a_release_does_not_wait_for_a_cancel_that_waits_for_the_part(two_sessions, new_worker):
    """As in a graph that has replaced a step: the step that waits is older than its part."""
    older, waiting = chain()
    flow = Workflow()
    flow.add(lab.add, [1, 1])
    (part,) = flow.send().task_ids
    Edge.objects.create(step_id=waiting, place=1, part_id=part)
    worker = new_worker()
    worker.claim(limit=2, quick=(lab.add.name,))
    worker.db.end(worker.id, [endings.pass_on((older, 1), None, None, "x")])
    session, _ = two_sessions
    end_in(session, worker, part)
    cancel = Aside(lambda: Task.objects.filter(pk__in=[waiting, part]).cancel())
    wait_for_lock(session)
    assert release_in(session, part) == []
    session.commit()
    cancel.done()
    assert not Task.objects.filter(pk__in=[waiting, part]).exists()
    assert not Edge.objects.filter(step_id=waiting).exists()


@pytest.mark.postgresql
def test_a_part_and_what_runs_instead_of_it_may_end_together(two_sessions, new_worker):
    """The part had failed, and was retried while the other ran."""
    part, other, step = chain(alternative=True)
    workers = [new_worker(), new_worker()]
    workers[0].claim()
    Task.objects.filter(pk=other).update(state=State.READY)
    Edge.objects.filter(step_id=other).delete()
    workers[1].claim()
    first, second = two_sessions
    end_in(first, workers[0], part)
    end_in(second, workers[1], other)
    # The first one locks the step, and removes the edge that the second one has marked.
    releasing = Aside(lambda: release_in(first, part))
    wait_for_lock(second)
    assert release_in(second, other) == []
    second.commit()
    releasing.done()
    first.commit()
    assert Task.objects.get(pk=step).state == State.READY
    assert not Edge.objects.exists()


@pytest.mark.postgresql
def test_several_ends_take_their_rows_in_the_order_of_a_cancel(two_sessions, new_worker):
    flow = Workflow()
    parts = [flow.add(lab.add, [n, n]) for n in range(2)]
    flow.add(lab.trace, [flow.results(parts)])
    ids = flow.send().task_ids[:2]
    worker = new_worker()
    worker.claim(limit=2, quick=(lab.add.name,))
    later = endings.retry((ids[0], 1), when=None, delay=0.0, error="", traceback="")
    calls = endings.calls(
        sql.of("postgresql"), worker.id, [endings.pass_on((ids[1], 1), None, None, "x"), later]
    )
    session, _ = two_sessions
    cursor = psycopg.ClientCursor(session)
    assert cursor.execute(*calls[0]).fetchall() == []
    cancel = Aside(lambda: Task.objects.filter(pk__in=ids).cancel())
    wait_for_lock(session)
    for statement, values in calls[1:]:
        cursor.execute(statement, values)
    session.commit()
    cancel.done()
    assert not Task.objects.filter(pk__in=ids).exists()


def fail(worker, id):
    worker.claim()
    worker.db.end(worker.id, [endings.fail((id, 1), error="e", traceback="")])


def errback():
    """A part that fails, a step that waits for that, and one that waits for its being done."""
    flow = Workflow()
    part = flow.add(lab.add, [1, 1])
    flow.add(lab.add, [2, 2], after=[part], on="failed")
    flow.add(lab.trace, [part.result])
    return flow.send().task_ids


class Session:
    """What a keeper has of its session."""

    owner = "keeper"

    def __init__(self, store):
        self._store = store

    def close(self):
        """The test needs the connection."""

    def store(self):
        return self._store


@pytest.mark.postgresql
def test_a_keeper_waits_for_nobody(two_sessions, new_worker):
    """Somebody has cancelled in a transaction that stays open: leases must be renewed meanwhile."""
    worker = new_worker()
    part, step, _ = errback()
    fail(worker, part)
    overdue = Workflow(deadline=-1)
    overdue.add(lab.add, [1, 1])
    (running,) = overdue.send().task_ids
    session, _ = two_sessions
    run(session, "DELETE FROM taskq_edge WHERE step_id = %(step)s", step=step)
    run(session, "SELECT FROM taskq_task WHERE id = %(id)s FOR UPDATE", id=running)
    keeper = WorkflowKeeper(Session(worker.db), every=0.0, between=lambda: None)
    looking = Aside(keeper.look)
    looking.done()
    assert Task.objects.filter(pk=running).exists()
    session.rollback()
    keeper.look()
    assert Task.objects.get(pk=step).state == State.READY
    assert not Task.objects.filter(pk=running).exists()


def test_a_keeper_tells_what_failed_before_its_machine_was_started(worker, monkeypatch):
    part, step, _ = errback()
    fail(worker, part)
    long_ago = "failed_at - interval '1 day'"
    if connection.vendor == "sqlite":
        long_ago = "datetime(failed_at, '-1 day')"
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE taskq_task SET failed_at = {long_ago} WHERE id = %s", [part])
    monkeypatch.setattr(clock, "now", lambda: clock.nanoseconds(20.0))
    WorkflowKeeper(Session(worker.db), every=1.0, between=lambda: None).look()
    assert Task.objects.get(pk=step).state == State.READY


def test_a_walk_over_all_edges_tells_what_failed_long_ago(worker):
    """Its transaction was open for longer than looks overlap."""
    part, step, stays = errback()
    fail(worker, part)
    store = worker.db.workflows
    store.tell(store.walk(BEGIN, 100).failed)
    assert list(Edge.objects.filter(step_id=step).values_list("state", flat=True)) == [
        EdgeState.DONE
    ]
    assert Edge.objects.get(step_id=stays).state == EdgeState.OPEN
    assert worker.db.workflows.settle(0) == 1


# What a worker has not written yet


@pytest.fixture
def batch(worker):
    words = memoryview(bytearray(8 * FinishLog.words(8))).cast("q")
    made = Batch(FinishLog(words, memoryview(bytearray(1 << 16))))
    made.hold_under(worker.id)
    return made


def test_an_idle_worker_writes_what_has_ended_before_it_releases(worker, batch):
    part, step = chain()
    worker.claim()
    assert batch.end_later(endings.pass_on((part, 1), None, None, "x"))
    assert batch.release(worker.db)
    assert Task.objects.get(pk=step).state == State.READY


def test_a_failure_is_told_once_it_is_written(worker, batch):
    part, step, _ = errback()
    worker.claim()
    assert batch.end_later(endings.fail((part, 1), error="e", traceback=""))
    batch.note_stopped(part)
    assert batch.release(worker.db)
    assert Task.objects.get(pk=step).state == State.READY


def test_a_pool_is_woken_for_what_a_worker_releases_and_does_not_claim(worker, batch, monkeypatch):
    part, _ = chain()
    worker.claim()
    served = []
    end = worker.db.end
    monkeypatch.setattr(worker.db, "end", lambda *args: served.append(args[2].served) or end(*args))
    batch.end_later(endings.pass_on((part, 1), None, None, "x"))
    batch.write(worker.db)
    assert served == [()]


def test_a_cancel_takes_the_steps_that_replace_one_meanwhile(db, monkeypatch):
    flow = Workflow()
    flow.add(lab.add, [1, 1])
    sent = flow.send()
    cancel = TaskQuerySet.cancel

    def as_a_step_is_replaced(queryset):
        found = cancel(queryset)
        if not Task.objects.filter(name="late").exists() and found.removed == 1:
            monkeypatch.undo()
            for state in (State.READY, State.BLOCKED):
                Task.objects.create(name="late", state=state, workflow_id=sent.pk)
        return found

    monkeypatch.setattr(TaskQuerySet, "cancel", as_a_step_is_replaced)
    assert sent.cancel() == (3, 0)
    assert not Task.objects.exists()
