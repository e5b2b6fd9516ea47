"""Cancelling: what waits is removed, what runs is ended, and neither is run again."""

import os
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from pool import Scoreboard, clock
from pool import State as Doing
from stress.rig.pools import wait_until
from taskq.celery import AsyncResult
from taskq.keeper.canceller import Canceller
from taskq.models import State, Task
from taskq.store import endings
from tests.project.lab import tasks
from tests.taskq.conftest import waits_for_a_lock


def cancelled(result):
    """Once it is kept as cancelled: its row."""
    return wait_until(lambda: Task.objects.cancelled().filter(pk=result.id.int).first())


# The verb


@pytest.mark.django_db
def test_what_waits_is_removed():
    result = tasks.quick.apply_async(("a",), countdown=60)
    other = tasks.quick.delay("b")
    assert result.cancel() is True
    assert [task.pk for task in Task.objects.all()] == [other.id.int]
    assert result.cancel() is False


@pytest.mark.django_db
def test_what_is_over_or_not_known_is_too_late():
    failed = Task.objects.create(name="x", state=State.FAILED)
    assert AsyncResult.of(failed.pk).cancel() is False
    assert AsyncResult.of(2**62).cancel() is False
    assert AsyncResult("f" * 32).cancel() is False
    assert Task.objects.failed().get() == failed


def test_many_are_cancelled_together(worker):
    running = tasks.quick.delay("a")
    worker.claim_one()
    for key in range(3):
        tasks.quick.delay(key)
    assert Task.objects.filter(name=tasks.quick.name).cancel() == (3, 1)
    first = Task.objects.get()
    assert (first.pk, first.state) == (running.id.int, State.RUNNING)
    # Again: it has been asked, at the time that it was asked first.
    assert Task.objects.all().cancel() == (0, 1)
    assert Task.objects.get().cancelled_at == first.cancelled_at


def test_a_cancel_that_is_rolled_back_cancels_nothing(worker):
    waits = tasks.quick.apply_async(("b",), countdown=60)
    runs = tasks.quick.delay("a")
    task = worker.claim_one()
    with transaction.atomic():
        assert waits.cancel()
        assert runs.cancel()
        transaction.set_rollback(True)
    assert waits.status == "PENDING"
    worker.db.give_back(worker.id, [task.run])
    assert Task.objects.count() == 2
    assert not Task.objects.failed().exists()


@pytest.mark.postgresql
@pytest.mark.parametrize("then", ["claim", "give back"])
def test_a_task_that_moves_on_meanwhile_is_not_missed(worker, then):
    """The cancel waits for whoever has the row locked, and sees what became of it."""
    pk = tasks.quick.delay("a").id.int
    if then == "give back":
        worker.claim_one()
    done = []

    def cancel():
        done.append(AsyncResult.of(pk).cancel())
        connections.close_all()

    thread = threading.Thread(target=cancel)
    with transaction.atomic():
        state = State.RUNNING if then == "claim" else State.READY
        Task.objects.filter(pk=pk).update(state=state, attempt=1)
        thread.start()
        wait_until(waits_for_a_lock)
    thread.join()
    assert done == [True]
    if then == "claim":
        assert Task.objects.get().cancelled_at is not None
    else:
        assert not Task.objects.exists()


def test_revoke_ends_what_runs_only_when_told_to_terminate_it(worker):
    result = tasks.quick.delay("a")
    worker.claim_one()
    assert not result.revoke()
    assert Task.objects.get().cancelled_at is None
    assert result.revoke(terminate=True)
    assert Task.objects.get().cancelled_at is not None


# What comes of a run that was asked to end, statement by statement


@pytest.mark.parametrize("end", ["retry", "defer", "give back", "fail", "lost", "host lost"])
def test_whatever_ends_the_run_it_is_kept_and_not_run_again(worker, end):
    result = tasks.quick.delay("a")
    task = worker.claim_one()
    assert result.cancel()
    db = worker.db
    match end:
        case "retry":
            db.end(
                worker.id, [endings.retry(task.run, when=None, delay=0, error="E", traceback="T")]
            )
        case "defer":
            db.defer(worker.id, task.run, 0)
        case "give back":
            assert db.give_back(worker.id, [task.run]) == {task.id}
        case "fail":
            db.end(worker.id, [endings.fail(task.run, error="E", traceback="T")])
        case "lost" | "host lost":
            ran = task.id if end == "lost" else None
            retired = db.leases.retire(worker.id, ran=ran, charge=True, cause="killed by SIGKILL")
            assert [(each.failed, each.cancelled) for each in retired.tasks] == [(True, True)]
    row = Task.objects.cancelled().get()
    assert (row.state, row.losses, row.worker_id) == (State.FAILED, 0, None)
    assert row.failed_at is not None
    if "lost" in end:
        assert row.error == "cancelled; its worker: killed by SIGKILL"
    assert result.status == "REVOKED"
    assert result.ready()
    assert not Task.objects.failed().exists()


def test_its_neighbors_are_given_back(worker):
    results = [tasks.quick.delay(key) for key in range(3)]
    claimed = worker.claim(3, (tasks.quick.name,))
    assert len(claimed) == 3
    results[1].cancel()
    retired = worker.db.leases.retire(worker.id, ran=results[1].id.int, charge=True, cause="killed")
    told = {each.id: (each.failed, each.cancelled) for each in retired.tasks}
    assert [told[result.id.int] for result in results] == [
        (False, False), (True, True), (False, False),
    ]  # fmt: skip
    rows = Task.objects.order_by("pk").values_list("state", "losses", "isolated")
    assert [rows[0], rows[2]] == [(State.READY, 0, False)] * 2
    assert rows[1][:2] == (State.FAILED, 0)


def test_one_that_was_finished_first_is_done(worker):
    result = tasks.quick.delay("a")
    task = worker.claim_one()
    result.cancel()
    assert worker.db.end(worker.id, [endings.finish(task.run)]) == {task.id}
    assert not Task.objects.exists()


def test_a_person_may_have_it_run_again(worker):
    result = tasks.quick.delay("a")
    task = worker.claim_one()
    result.cancel()
    worker.db.give_back(worker.id, [task.run])
    assert Task.objects.cancelled().retry() == 1
    assert Task.objects.pending().get().cancelled_at is None


# The command


def test_the_command_says_what_became_of_each(worker, capsys):
    runs, waits = tasks.quick.delay("a"), tasks.quick.apply_async(("b",), countdown=60)
    worker.claim_one()
    call_command("taskq_cancel", str(runs.id), f"#{waits.id.int}")
    said = capsys.readouterr().out
    assert said == f"{runs.id}: asked to end\n#{waits.id.int}: removed\n"
    with pytest.raises(SystemExit) as leaving:
        call_command("taskq_cancel", str(waits.id.int), "f" * 32, str(runs.id))
    assert leaving.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{waits.id.int}: too late, or no such task",
        f"{'f' * 32}: too late, or no such task",
        f"{runs.id}: asked to end",
    ]


@pytest.mark.django_db
def test_the_command_refuses_what_is_no_id_before_it_cancels_any():
    result = tasks.quick.delay("a")
    with pytest.raises(CommandError, match="'seven' is no task id: give its number, or the UUID"):
        call_command("taskq_cancel", str(result.id), "seven")
    assert Task.objects.exists()


def test_a_pool_whose_workers_are_idle_asks_for_no_cancelled_runs():
    class Asked(Exception):
        pass

    class Database:
        def cancelled(self, leases):
            raise Asked(leases)

    scoreboard = Scoreboard(1)
    (slot,) = scoreboard.slots
    slot.pid, slot.generation, slot.state = os.getpid(), 1, Doing.IDLE
    slot.grant(7, generation=1, deadline=clock.now() + 9 * clock.SECOND)
    canceller = Canceller(scoreboard, grace=1, every=60)
    canceller.look(Database())
    assert canceller.due > clock.now()
    slot.state = Doing.BUSY
    canceller.due = 0
    with pytest.raises(Asked) as asked:
        canceller.look(Database())
    assert asked.value.args == ([7],)
