"""Django's own tasks (or their backport): what their results tell, as Django has it."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import pickle
import sys
import uuid
from traceback import extract_tb, format_exception

import pytest
from django.utils import timezone

from tests.taskq.djangos_tasks import native  # first: there may be none

# isort: split
from stress.rig.pools import wait_until
from taskq.celery import AsyncResult
from taskq.django import task
from taskq.django.compat import TaskResultDoesNotExist, TaskResultStatus, task_finished
from taskq.models import FinishedTask, Result, Task
from taskq.store import endings
from taskq.task import payload
from taskq.testing import run_all
from tests.project.lab import tasks as lab


def later(than):
    """Wait for another time by the clock of SQLite, which goes by milliseconds."""
    wait_until(lambda: timezone.now() >= than + datetime.timedelta(milliseconds=1))


def test_result_through_the_life_of_its_task(worker):
    result = native.add.enqueue(1, 2)
    enqueued_at = Task.objects.get().created_at
    claimed = worker.claim_one()
    result.refresh()
    first = f"host:1/worker 1/{worker.id}"
    assert (result.status, result.attempts) == (TaskResultStatus.RUNNING, 1)
    assert (result.worker_ids, result.errors) == ([first], [])
    assert result.started_at == result.last_attempted_at
    assert result.enqueued_at == enqueued_at <= result.started_at

    worker.db.end(
        worker.id,
        [
            endings.retry(
                claimed.run,
                when=None,
                delay=0.0,
                error="E",
                traceback="Traceback …",
                kind="builtins.KeyError",
            )
        ],
    )
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.READY, 1)
    (error,) = result.errors
    assert (error.exception_class, error.traceback) == (KeyError, "Traceback …")
    assert not result.is_finished
    started_at = result.started_at

    later(than=started_at)
    claimed = worker.claim_one()
    worker.db.end(worker.id, [endings.keep(claimed.run, payload.encode_result({"sum": 3}))])
    result.refresh()
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, {"sum": 3})
    assert (result.worker_ids, result.attempts, result.is_finished) == ([first] * 2, 2, True)
    assert [each.exception_class for each in result.errors] == [KeyError]
    assert result.started_at == started_at < result.last_attempted_at <= result.finished_at
    again = native.add.get_result(result.id)
    assert again == result
    assert (again.task, again.args, again.kwargs, again.backend) == (
        native.add,
        [1, 2],
        {},
        "default",
    )


def test_the_result_of_a_task_in_a_state_of_another_version_is_one_that_waits(worker):
    result = native.add.enqueue(1, 2)
    Task.objects.update(state=7)
    found = native.add.get_result(result.id)
    assert (found.status, found.args, found.attempts) == (TaskResultStatus.READY, [1, 2], 0)


def test_result_of_a_task_that_failed_has_the_error_of_each_attempt(worker, new_worker):
    result = native.send.using(priority=3).enqueue(1)
    first = worker.claim_one()
    later(than=Task.objects.get().started_at)
    worker.db.leases.retire(worker.id, ran=first.id, charge=True, cause="killed by SIGKILL")
    other = new_worker()
    other.db.end(
        other.id,
        [
            endings.fail(
                other.claim_one().run,
                error="ValueError: no",
                traceback="T",
                kind="builtins.ValueError",
            )
        ],
    )
    result.refresh()
    assert (result.status, result.attempts, result.is_finished) == (
        TaskResultStatus.FAILED,
        2,
        True,
    )
    assert [(each.exception_class_path, each.traceback) for each in result.errors] == [
        ("taskq.exceptions.WorkerLost", "killed by SIGKILL"),
        ("builtins.ValueError", "T"),
    ]
    assert all(issubclass(each.exception_class, Exception) for each in result.errors)
    assert result.worker_ids == [f"host:1/worker 1/{worker.id}", f"host:1/worker 2/{other.id}"]
    assert result.started_at < result.last_attempted_at <= result.finished_at
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value
    task = native.send.get_result(result.id).task
    assert (task.priority, task.queue_name, task.func) == (3, "mail", native.send.func)


@pytest.mark.django_db
def test_what_enqueue_returns_is_what_get_result_finds(backend):
    soon = timezone.now() + datetime.timedelta(hours=1)
    sent = [
        native.add.enqueue(1, b=2),
        native.add.enqueue({1: [None, {2.5: (1, 2)}]}, b=[{True: 1}]),
        native.send.using(priority=-5, queue_name="default", run_after=soon).enqueue(1),
        native.charge.using(idempotency_key="a").enqueue("a", 1),
        native.charge.using(idempotency_key="a").enqueue("a", 1),
        *native.send.using(run_after=soon).enqueue_many([(number,) for number in range(3)]),
        *native.unique.enqueue_many([(1,), (2,), (1,)]),
        native.unique.enqueue(3),
        native.unique.enqueue(1),
    ]
    for result in sent:
        found = backend.get_result(result.id)
        assert found == result
        assert dataclasses.asdict(found) == dataclasses.asdict(result)
        assert found.task.run_after == result.task.run_after
        assert pickle.loads(pickle.dumps(result)) == copy.deepcopy(result) == result
    times = [result.enqueued_at for result in sent]
    assert times[:3] == sorted(times[:3])
    (at,) = set(times[5:8])
    assert at == Task.objects.get(pk=sent[5].id.int).created_at


def test_a_task_can_be_pickled_whatever_its_module_calls_it():
    again = pickle.loads(pickle.dumps(native.named_otherwise.using(priority=5)))
    assert again == native.named_otherwise.using(priority=5)
    assert again != native.named_otherwise


@pytest.mark.django_db
def test_the_time_that_it_was_sent_for_stays_with_a_result(backend):
    past = timezone.now() - datetime.timedelta(seconds=5)
    result = native.add.using(run_after=past).enqueue(1, 2)
    assert backend.get_result(result.id).task.run_after == past
    run_all()
    found = backend.get_result(result.id)
    assert (found.return_value, found.task.run_after) == (3, past)
    assert found.task == result.task
    assert backend.get_result(native.add.enqueue(1).id).task.run_after is None


@pytest.mark.django_db
def test_the_time_that_it_was_sent_for_outlives_a_retry(backend):
    past = timezone.now() - datetime.timedelta(seconds=5)
    result = native.fail_twice.using(run_after=past).enqueue("a")
    run_all()
    result.refresh()
    # On a machine that is slow the next runs are due as well by then.
    assert result.is_finished or Task.objects.get().retries >= 1
    assert backend.get_result(result.id).task.run_after == past


@pytest.mark.django_db
def test_an_id_is_a_str_a_uuid_or_a_number(backend):
    result = native.add.enqueue(1)
    id = uuid.UUID(result.id)
    for given in (result.id, str(result.id), id, id.hex, id.int, str(id.int)):
        assert backend.get_result(given) == native.add.get_result(given) == result


@pytest.mark.django_db
def test_task_finished_is_sent_where_the_error_is_handled(caplog):
    """As Django's own backends do: its log has the traceback."""
    heard = []

    def hear(sender, task_result, **kwargs):
        heard.append((str(task_result.status), sys.exc_info()))

    task_finished.connect(hear)
    try:
        failed, _ = native.fail.enqueue("a"), native.add.enqueue(1, 2)
        run_all(propagate=False)
    finally:
        task_finished.disconnect(hear)
    (status, (kind, error, traceback)), other = heard
    assert (status, kind, str(error)) == ("FAILED", ValueError, "no good")
    assert extract_tb(traceback)[-1].name == "fail"
    assert "task_result.py" not in "".join(format_exception(error))
    assert other == ("SUCCESSFUL", (None, None, None))
    failed.refresh()
    assert failed.errors[0].traceback.endswith("ValueError: no good\n")
    (record,) = [each for each in caplog.records if "state=FAILED" in each.getMessage()]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.django_db
@pytest.mark.parametrize("id", [str(uuid.UUID(int=2**80)), str(uuid.UUID(int=1)), "", "x", 5, None])
def test_an_unknown_id_has_no_result(backend, id):
    with pytest.raises(TaskResultDoesNotExist):
        backend.get_result(id)


@pytest.mark.django_db
def test_a_task_of_another_front_door_has_no_result_here(backend):
    with pytest.raises(TaskResultDoesNotExist):
        backend.get_result(str(lab.add.delay(1, 2).id))


@pytest.mark.django_db
def test_the_result_of_another_task_is_a_mismatch():
    result = native.send.enqueue(1)
    with pytest.raises(Exception, match=r"Task does not match \(received '.*tasks\.send'\)"):
        native.add.get_result(result.id)


def test_a_result_can_be_asked_for_as_celery_does(worker):
    result = AsyncResult(native.add.enqueue(1, 2).id)
    assert result.status == "PENDING"
    worker.db.end(worker.id, [endings.keep(worker.claim_one().run, payload.encode_result(3))])
    assert result.get() == 3


@task(keep_finished="7 days")
def kept(number):
    return {"number": number}


@pytest.mark.django_db
def test_a_finished_task_that_is_kept_answers_when_its_result_is_gone():
    result = kept.enqueue(5)
    run_all()
    Result.objects.all().delete()
    assert FinishedTask.objects.get().value == payload.encode_result({"number": 5})
    again = kept.get_result(result.id)
    assert (again.status, again.return_value) == (TaskResultStatus.SUCCESSFUL, {"number": 5})
    assert (again.args, again.attempts) == ([5], 1)
    FinishedTask.objects.all().delete()
    with pytest.raises(TaskResultDoesNotExist):
        kept.get_result(result.id)
