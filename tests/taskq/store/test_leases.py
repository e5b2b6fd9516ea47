"""What a worker does with tasks under its lease, statement by statement, on a real database."""

import datetime

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from stress.rig.pools import wait_until
from taskq import sql
from taskq.models import State, Task
from taskq.store import atomic, endings
from tests.project.lab import tasks
from tests.taskq.leasing import QUICK, each_way, send

worker = each_way


# Finish, retry, fail, release: each fenced


def test_finish_removes_the_rows_and_names_them(worker):
    for n in range(3):
        send(str(n))
    claimed = worker.claim(50, QUICK)
    assert worker.db.end(worker.id, map(endings.finish, [task.run for task in claimed])) == {
        task.id for task in claimed
    }
    assert not Task.objects.exists()


WRITES = {
    "finish": lambda db, worker, run: bool(db.end(worker, [endings.finish(run)])),
    "give back": lambda db, worker, run: bool(db.give_back(worker, [run])),
    "retry": lambda db, worker, run: db.end(
        worker, [endings.retry(run, when=None, delay=0, error="", traceback="")]
    ),
    "retry with another call": lambda db, worker, run: db.end(
        worker,
        [endings.retry(run, when=None, delay=0, error="", traceback="", changes={"queue": "x"})],
    ),
    "say a state": lambda db, worker, run: db.runs.say_state(worker, run, "{}"),
    "fail": lambda db, worker, run: db.end(worker, [endings.fail(run, error="", traceback="")]),
    "defer": lambda db, worker, run: db.defer(worker, run, 1.0),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_touches_nothing_once_the_lease_was_taken(worker, new_worker, write):
    send()
    task = worker.claim_one()
    worker.db.leases.retire(worker.id, ran=task.id, charge=True, cause="killed")
    before = Task.objects.values().get()
    assert not write(worker.db, worker.id, task.run)
    assert Task.objects.values().get() == before
    # Nor once another has it.
    other = new_worker()
    again = other.claim_one()
    assert not write(worker.db, worker.id, task.run)
    assert not write(worker.db, worker.id, again.run)
    assert not write(worker.db, other.id, task.run), "an earlier attempt of the same worker"
    assert write(worker.db, other.id, again.run)


@pytest.mark.parametrize("direct", [True, False], ids=["alone", "pooler"])
def test_finish_within_a_transaction_is_fenced_too(worker, new_worker, direct):
    send()
    task, other = worker.claim_one(), new_worker()
    with transaction.atomic():
        assert not atomic.finish(
            sql.django_connection(connection, direct=direct), other.id, task.run
        )
        transaction.set_rollback(True)
    assert Task.objects.exists()
    with transaction.atomic():
        assert atomic.finish(sql.django_connection(connection, direct=direct), worker.id, task.run)
    assert not Task.objects.exists()


@pytest.mark.parametrize("direct", [True, False], ids=["alone", "pooler"])
def test_a_transaction_that_will_be_rolled_back_finishes_nothing(worker, direct):
    """Else the task would be held as running for ever by a worker that has done with it."""
    send()
    task = worker.claim_one()
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            atomic.finish(sql.django_connection(connection, direct=direct), worker.id, task.run)
    assert Task.objects.exists()


def test_retry_waits_counts_and_remembers_why(worker):
    send()
    task = worker.claim_one()
    assert worker.db.end(
        worker.id, [endings.retry(task.run, when=None, delay=300.0, error="E", traceback="T")]
    )
    row = Task.objects.get()
    assert (row.state, row.retries, row.error, row.traceback) == (State.READY, 1, "E", "T")
    assert row.worker_id is None
    wait = (row.execute_at - timezone.now()).total_seconds()
    assert 200 < wait <= 300


def test_retry_at_a_given_time(worker):
    send()
    when = timezone.now().replace(microsecond=123456) + datetime.timedelta(hours=1)
    worker.db.end(
        worker.id,
        [endings.retry(worker.claim_one().run, when=when, delay=0.0, error="", traceback="")],
    )
    assert Task.objects.get().execute_at == when


def test_fail_keeps_the_task_for_a_person(worker):
    send()
    worker.db.end(worker.id, [endings.fail(worker.claim_one().run, error="E", traceback="T")])
    row = Task.objects.failed().get()
    assert (row.error, row.traceback, row.worker_id) == ("E", "T", None)
    assert row.failed_at is not None


def test_a_retry_neither_expires_nor_is_unknown_any_more(worker):
    pk = tasks.quick.apply_async(("a",), expires=3600).id.int
    worker.db.defer(worker.id, worker.claim_one().run, 0.0)
    again = wait_until(worker.claim)[0]
    assert Task.objects.get().expires_at is not None, "it has yet to start"
    worker.db.end(
        worker.id, [endings.retry(again.run, when=None, delay=0.0, error="", traceback="")]
    )
    row = Task.objects.get(pk=pk)
    assert (row.expires_at, row.unknown_since) == (None, None)


def test_given_back_tasks_keep_their_place_and_are_not_charged(worker):
    ids = [send(str(n)) for n in range(3)]
    claimed = worker.claim(50, QUICK)
    worker.db.give_back(worker.id, [task.run for task in claimed])
    assert [worker.claim_one().id for _ in ids] == ids
    assert set(Task.objects.values_list("losses", "retries", "isolated")) == {(0, 0, False)}


def test_deferred_tasks_remember_since_when_they_are_unknown(worker):
    pk = send()
    worker.db.defer(worker.id, worker.claim_one().run, 0.0)
    first = Task.objects.get().unknown_since
    again = wait_until(worker.claim)[0]
    assert again.id == pk
    assert again.unknown_for is not None
    worker.db.defer(worker.id, again.run, 5.0)
    assert Task.objects.get().unknown_since == first
