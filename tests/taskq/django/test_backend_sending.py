"""Django's own tasks (or their backport): what is sent, and that it is part of the transaction."""

from __future__ import annotations

import datetime
import logging
import uuid

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone

from tests.taskq.djangos_tasks import native  # first: there may be none

# isort: split
from stress.project.shop.models import Order
from taskq.backend import TaskqBackend
from taskq.django import listeners
from taskq.django.compat import TaskResultDoesNotExist, TaskResultStatus
from taskq.models import Task
from taskq.store import endings
from taskq.task import payload
from taskq.task.payload import PayloadError


def test_all_that_a_backend_can_do_ours_can(backend):
    assert isinstance(backend, TaskqBackend)
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority


@pytest.mark.django_db
def test_enqueue_writes_a_row_and_returns_a_result_that_is_ready():
    before = timezone.now() - datetime.timedelta(milliseconds=1)  # SQLite's own precision
    result = native.add.enqueue(1, b=(2, 3))
    row = Task.objects.get()
    assert (row.name, row.payload) == ("tests.project.native.tasks.add", '[[1],{"b":[2,3]}]')
    assert (row.queue, row.priority, row.max_losses) == ("default", 0, 3)
    assert result.id == str(row.uuid) == str(uuid.UUID(int=row.pk))
    assert result.status == TaskResultStatus.READY
    assert (result.task, result.backend) == (native.add, "default")
    assert (result.args, result.kwargs) == ([1], {"b": [2, 3]})
    assert (result.errors, result.worker_ids, result.attempts) == ([], [], 0)
    assert before <= result.enqueued_at <= timezone.now()
    assert result.started_at is result.last_attempted_at is result.finished_at is None
    assert not result.is_finished
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = result.return_value


@pytest.mark.django_db
def test_queue_and_priority_are_those_of_the_task_and_using_changes_them():
    native.send.enqueue(1)
    native.send.using(priority=-100, queue_name="default").enqueue(2)
    rows = Task.objects.order_by("id").values_list("queue", "priority")
    assert list(rows) == [("mail", 7), ("default", -100)]


@pytest.mark.django_db
def test_run_after_defers_the_task():
    when = timezone.now() + datetime.timedelta(hours=1)
    native.add.using(run_after=when).enqueue(1)
    assert Task.objects.get().execute_at == when


@pytest.mark.django_db(transaction=True)
def test_a_task_lives_and_dies_with_the_transaction():
    with transaction.atomic():
        Order.objects.create(number=1)
        result = native.add.enqueue(1)
        assert native.add.get_result(result.id).status == TaskResultStatus.READY
        transaction.set_rollback(True)
    assert (Order.objects.count(), Task.objects.count()) == (0, 0)
    with pytest.raises(TaskResultDoesNotExist):
        native.add.get_result(result.id)


@pytest.mark.django_db
def test_djangos_log_hears_of_it_where_its_level_is_on(caplog):
    logger = listeners._LOGGER.name
    with caplog.at_level(logging.DEBUG, logger):
        result = native.add.enqueue(1)
    with caplog.at_level(logging.INFO, logger):
        native.add.enqueue(2)
    (record,) = [each for each in caplog.records if each.name == logger]
    assert f"id={result.id}" in record.getMessage()


@pytest.mark.django_db
def test_sending_is_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        native.add.enqueue(1)
    with django_assert_num_queries(1):
        native.add.enqueue_many([(1,), {"a": 2}, [3, 4]])


@pytest.mark.django_db
def test_many_are_sent_in_order():
    results = native.send.enqueue_many([(number,) for number in range(100)])
    assert [result.args for result in results] == [[number] for number in range(100)]
    rows = Task.objects.in_bulk()
    assert [payload.decode(rows[uuid.UUID(result.id).int].payload)[0] for result in results] == [
        [number] for number in range(100)
    ]
    assert set(Task.objects.values_list("queue", "priority")) == {("mail", 7)}
    assert native.send.enqueue_many([]) == []
    with pytest.raises(TypeError, match=r"calls\[1\] is 5: give a tuple"):
        native.add.enqueue_many([(1,), 5])


@pytest.mark.django_db(transaction=True)
def test_sending_and_asking_from_a_coroutine(worker):
    async def send_and_ask():
        result = await native.add.aenqueue(1, b=2)
        assert (await native.add.aget_result(result.id)).status == TaskResultStatus.READY
        return result

    result = async_to_sync(send_and_ask)()
    worker.db.end(worker.id, [endings.keep(worker.claim_one().run, payload.encode_result(3))])
    async_to_sync(result.arefresh)()
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, 3)


@pytest.mark.django_db
@pytest.mark.parametrize("argument", [object(), {1, 2}, datetime.date(2030, 1, 1)])
def test_arguments_that_json_has_not_are_refused_as_django_does(argument):
    with pytest.raises(TypeError, match="Unsupported type"):
        native.add.enqueue(argument)
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_too_much_is_refused(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 100}
    with pytest.raises(PayloadError, match="more than TASKQ"):
        native.add.enqueue("x" * 100)


@pytest.mark.django_db
def test_enqueued_is_signalled_with_the_result(announced):
    result = native.add.enqueue(1)
    many = native.add.enqueue_many([(2,), (3,)])
    assert announced == [(TaskqBackend, each) for each in [result, *many]]


@pytest.mark.django_db
def test_a_call_that_joins_a_task_is_that_task_and_no_other(announced):
    first = native.charge.using(idempotency_key="order-42").enqueue(42)
    again = native.charge.using(idempotency_key="order-42").enqueue(43)
    Task.objects.filter(pk=uuid.UUID(again.id).int).delete()
    gone = native.charge.using(idempotency_key="order-42").enqueue(44)
    assert (again.id, again.args) == (first.id, [42])
    assert (gone.id, gone.args) == (first.id, [44]), "nothing else is left of it"
    assert announced == [(TaskqBackend, first)]
