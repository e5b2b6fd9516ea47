"""Django's own tasks (or their backport): what their results tell, as Django has it."""

from __future__ import annotations

import datetime
import uuid

import pytest
from django.utils import timezone

from tests.taskq.djangos_tasks import native  # first: there may be none

# isort: split
from stress.pools import wait_until
from taskq import payload
from taskq.celery import AsyncResult
from taskq.framework import TaskResultDoesNotExist, TaskResultStatus
from taskq.models import Task
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

    worker.db.retry(
        worker.id, claimed.run,
        when=None, delay=0.0, error="E", traceback="Traceback …", kind="builtins.KeyError",
    )  # fmt: skip
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.READY, 1)
    (error,) = result.errors
    assert (error.exception_class, error.traceback) == (KeyError, "Traceback …")
    assert not result.is_finished
    started_at = result.started_at

    later(than=started_at)
    claimed = worker.claim_one()
    worker.db.keep(worker.id, claimed.run, payload.encode_result({"sum": 3}))
    result.refresh()
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, {"sum": 3})
    assert (result.worker_ids, result.attempts, result.is_finished) == ([first] * 2, 2, True)
    assert [each.exception_class for each in result.errors] == [KeyError]
    assert result.started_at == started_at < result.last_attempted_at <= result.finished_at
    again = native.add.get_result(result.id)
    assert again == result
    assert (again.task, again.args, again.kwargs, again.backend) == (
        native.add, [1, 2], {}, "default",
    )  # fmt: skip


def test_result_of_a_task_that_failed_has_the_error_of_each_attempt(worker, new_worker):
    result = native.send.using(priority=3).enqueue(1)
    first = worker.claim_one()
    later(than=Task.objects.get().started_at)
    worker.db.workers.retire(worker.id, ran=first.id, charge=True, cause="killed by SIGKILL")
    other = new_worker()
    other.db.fail(
        other.id, other.claim_one().run,
        error="ValueError: no", traceback="T", kind="builtins.ValueError",
    )  # fmt: skip
    result.refresh()
    assert (result.status, result.attempts, result.is_finished) == (
        TaskResultStatus.FAILED, 2, True,
    )  # fmt: skip
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
    worker.db.keep(worker.id, worker.claim_one().run, payload.encode_result(3))
    assert result.get() == 3
