"""What tasks return, for those that keep it: written with their end, fenced, found again."""

from __future__ import annotations

import datetime
import time
import uuid
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.utils import timezone

from stress.project.shop.models import Order
from taskq import lookup, sql
from taskq.celery import AsyncResult, NoResult, TaskFailed
from taskq.models import Result, State, Task
from taskq.sql.in_both import HISTORY_LENGTH
from taskq.store import atomic, endings
from taskq.task import payload
from tests.conftest import SLACK
from tests.project.lab import tasks as lab

KIND = "builtins.ValueError"


def send(key="a"):
    return lab.add.delay(1, 2).id.int


# Written with the task's end


def test_a_result_is_written_with_the_end_of_the_task(worker):
    pk = send()
    row = Task.objects.get()
    task = worker.claim_one()
    assert worker.db.end(worker.id, [endings.keep(task.run, payload.encode_result(3))])
    assert not Task.objects.exists()
    result = Result.objects.get()
    assert (result.pk, result.name, result.payload) == (pk, lab.add.name, "[[1,2],{}]")
    assert (result.queue, result.priority, result.created_at) == ("default", 0, row.created_at)
    assert row.created_at <= result.started_at <= result.finished_at
    assert result.worker == f"host:1/worker 1/{worker.id}"
    assert payload.decode_result(result.value) == 3
    assert result.history is None


def test_a_worker_whose_lease_was_taken_writes_no_result(worker, new_worker):
    send()
    task = worker.claim_one()
    worker.db.leases.retire(worker.id, ran=task.id, charge=True, cause="killed")
    assert not worker.db.end(worker.id, [endings.keep(task.run, "[[3],{}]")])
    other = new_worker()
    again = other.claim_one()
    for stranger, run in [
        (worker.id, task.run),
        (worker.id, again.run),
        (other.id, task.run),
    ]:
        assert not worker.db.end(stranger, [endings.keep(run, "[[3],{}]")])
    assert not Result.objects.exists()
    assert Task.objects.get().state == State.RUNNING
    assert worker.db.end(other.id, [endings.keep(again.run, "[[3],{}]")])
    assert Result.objects.get().worker == f"host:1/worker 2/{other.id}"


@pytest.mark.parametrize("direct", [True, False], ids=["alone", "pooler"])
def test_a_result_within_a_transaction_comes_and_goes_with_it(worker, new_worker, direct):
    send()
    task, other = worker.claim_one(), new_worker()

    def finish(by):
        return atomic.finish(
            sql.django_connection(connection, direct=direct), by.id, task.run, result="[[3],{}]"
        )

    with transaction.atomic():
        assert not finish(other)
        assert finish(worker)
        transaction.set_rollback(True)
    assert (Task.objects.count(), Result.objects.count()) == (1, 0)
    with transaction.atomic():
        assert finish(worker)
    assert (Task.objects.count(), Result.objects.count()) == (0, 1)


def test_an_id_that_comes_again_replaces_an_old_result(worker):
    """As after TRUNCATE … RESTART IDENTITY: a finish must not fail for it."""
    pk = send()
    old = timezone.now() - datetime.timedelta(days=1)
    Result.objects.create(
        id=pk,
        name="old",
        payload="",
        queue="old",
        priority=-77,
        worker="old",
        history="old",
        created_at=old,
        started_at=old,
        finished_at=old,
        value="old",
    )
    assert worker.db.end(worker.id, [endings.keep(worker.claim_one().run, "[[3],{}]")])
    result = Result.objects.get()
    for field in Result._meta.concrete_fields:
        assert getattr(result, field.attname) not in ("old", old, -77), field


# The history


def test_each_run_that_came_to_nothing_is_in_the_history(worker, new_worker):
    pk = send()
    task = worker.claim_one()
    worker.db.end(
        worker.id,
        [endings.retry(task.run, when=None, delay=0.0, error="E", traceback="T1", kind=KIND)],
    )
    task = worker.claim_one()
    worker.db.leases.retire(worker.id, ran=task.id, charge=True, cause="killed by SIGKILL")
    other = new_worker()
    task = other.claim_one()
    other.db.end(
        other.id,
        [endings.fail(task.run, error="E", traceback="T3\u2028 'line' \"end\"", kind=KIND)],
    )
    known = lookup.look_up(pk)
    assert known is not None
    assert known.state is State.FAILED
    first, second = f"host:1/worker 1/{worker.id}", f"host:1/worker 2/{other.id}"
    assert [(each.worker, each.kind, each.traceback) for each in known.attempts] == [
        (first, KIND, "T1"),
        (first, "taskq.exceptions.WorkerLost", "killed by SIGKILL"),
        (second, KIND, "T3\u2028 'line' \"end\""),
    ]
    starts = [each.started_at for each in known.attempts]
    assert starts == sorted(starts)
    assert all(abs(timezone.now() - start) < datetime.timedelta(minutes=1) for start in starts)


def test_the_history_goes_with_the_result(worker):
    pk = send()
    worker.db.end(
        worker.id,
        [
            endings.retry(
                worker.claim_one().run, when=None, delay=0.0, error="E", traceback="T", kind=KIND
            )
        ],
    )
    assert worker.db.end(worker.id, [endings.keep(worker.claim_one().run, "[[3],{}]")])
    known = lookup.look_up(pk)
    assert known is not None
    assert [each.traceback for each in known.attempts] == ["T"]
    assert known.worker == f"host:1/worker 1/{worker.id}"


def test_a_task_that_keeps_no_result_has_no_history_of_errors(worker):
    lab.quick.delay("a")
    for _ in range(2):
        task = worker.claim_one()
        worker.db.end(
            worker.id, [endings.retry(task.run, when=None, delay=0.0, error="E", traceback="T")]
        )
    worker.db.end(worker.id, [endings.fail(worker.claim_one().run, error="E", traceback="T")])
    assert Task.objects.get().history is None


@pytest.mark.parametrize("charge", [True, False])
def test_a_loss_that_is_nobodys_fault_is_no_attempt(worker, charge):
    send()
    task = worker.claim_one()
    worker.db.leases.retire(worker.id, ran=task.id, charge=charge, cause="C")
    assert (Task.objects.get().history is not None) is charge


def test_a_history_that_grows_too_long_begins_anew(worker):
    pk = send()
    for number in range(8):
        text = str(number) * (HISTORY_LENGTH // 4)
        worker.db.end(
            worker.id,
            [
                endings.retry(
                    worker.claim_one().run,
                    when=None,
                    delay=0.0,
                    error="E",
                    traceback=text,
                    kind=KIND,
                )
            ],
        )
    known = lookup.look_up(pk)
    assert known is not None
    assert [each.traceback[0] for each in known.attempts] == ["4", "5", "6", "7"]


def test_a_retry_by_a_person_begins_a_new_history(worker):
    pk = send()
    worker.db.end(
        worker.id, [endings.fail(worker.claim_one().run, error="E", traceback="T", kind=KIND)]
    )
    Task.objects.failed().retry()
    known = lookup.look_up(pk)
    assert known is not None
    assert known.attempts == []
    assert known.error == "E"


# AsyncResult


def status(result):
    return result.status, result.state, result.ready(), result.successful(), result.failed()


def test_result_of_a_task_through_its_life(worker):
    result = lab.add.delay(1, 2)
    assert status(result) == ("PENDING", "PENDING", False, False, False)
    task = worker.claim_one()
    assert status(result) == ("STARTED", "STARTED", False, False, False)
    assert result.result is result.traceback is None
    worker.db.end(
        worker.id,
        [endings.retry(task.run, when=None, delay=0.0, error="E", traceback="T", kind=KIND)],
    )
    assert status(result) == ("RETRY", "RETRY", False, False, False)
    assert result.traceback == "T"
    worker.db.end(
        worker.id, [endings.keep(worker.claim_one().run, payload.encode_result({"sum": 3}))]
    )
    assert status(result) == ("SUCCESS", "SUCCESS", True, True, False)
    assert result.result == result.get() == result.get(timeout=0) == {"sum": 3}
    assert AsyncResult(str(result.id)).get() == {"sum": 3}
    assert not result.revoke()


def test_result_of_a_task_that_failed(worker):
    result = lab.add.delay(1, 2)
    worker.db.end(
        worker.id, [endings.fail(worker.claim_one().run, error="ValueError: no", traceback="T")]
    )
    assert status(result) == ("FAILURE", "FAILURE", True, False, True)
    with pytest.raises(TaskFailed, match=r"^ValueError: no$") as caught:
        result.get()
    assert caught.value.traceback == result.traceback == "T"
    assert repr(result.get(propagate=False)) == repr(result.result) == repr(caught.value)


@pytest.mark.parametrize(
    "value",
    [None, 0, "", [], {"$taskq": 1}, [1, {"a": None}], datetime.date(2030, 1, 2), Decimal("1.10")],
    ids=repr,
)
def test_a_result_comes_back_as_it_was(worker, value):
    result = lab.add.delay(1, 2)
    worker.db.end(worker.id, [endings.keep(worker.claim_one().run, payload.encode_result(value))])
    assert result.get() == value


@pytest.mark.django_db
def test_get_waits_no_longer_than_its_timeout():
    result = lab.add.delay(1, 2)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"is not done after 0\.3 s"):
        result.get(timeout=0.3)
    assert 0.3 <= time.monotonic() - began < SLACK


@pytest.mark.django_db
@pytest.mark.parametrize("id", [uuid.UUID(int=1), uuid.uuid4()])
def test_of_an_unknown_task_there_is_no_result(id):
    result = AsyncResult(id)
    assert status(result) == ("PENDING", "PENDING", False, False, False)
    assert result.result is None
    with pytest.raises(NoResult, match="results are kept by tasks with ignore_result=False"):
        result.get()


@pytest.mark.django_db
def test_a_call_that_wants_a_result_of_a_task_that_keeps_none_is_refused():
    with pytest.raises(TypeError, match=r"keeps no results: say @shared_task\(ignore_result"):
        lab.quick.apply_async(("a",), ignore_result=False)
    lab.add.apply_async((1, 2), ignore_result=False)
    lab.quick.apply_async(("a",), ignore_result=True)
    assert Task.objects.count() == 2


# With a pool


def test_a_result_from_a_pool(start_pool):
    sums = lab.add.delay_many((number, 1) for number in range(20))
    noted = lab.place.delay(7)
    none = lab.quick.delay("a")
    broken = lab.add.delay(1, None)
    strange = lab.give_back_an_object.delay()
    start_pool("-c", 2)
    assert [result.get(timeout=60) for result in sums] == list(range(1, 21))
    assert noted.get(timeout=60) == {"number": 7}
    assert Order.objects.get().number == 7
    with pytest.raises(TaskFailed, match="TypeError: unsupported operand") as caught:
        broken.get(timeout=60)
    assert "Traceback (most recent call last)" in caught.value.traceback
    with pytest.raises(TaskFailed, match=r"what it returned, .* cannot be kept: .* of type object"):
        strange.get(timeout=60)
    with pytest.raises(NoResult):
        none.get(timeout=60)
    assert Result.objects.count() == 21
