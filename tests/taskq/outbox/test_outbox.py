"""Enqueueing: what is in the row, and that it lives and dies with the transaction."""

from __future__ import annotations

import datetime
import threading

import pytest
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from stress.project.shop.models import Order
from taskq.celery import shared_task
from taskq.models import State, Task
from taskq.outbox import enqueue as outbox_enqueue
from taskq.task import payload
from taskq.task.options import TaskOptions
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.django_db


@shared_task(queue="mail", priority=-7)
def send(number=0):
    pass


@shared_task(on_lost="fail")
def charge(number=0):
    pass


def enqueue(task=lab.quick, **options):
    """Send a task and read its row."""
    return Task.objects.get(pk=task.apply_async((1,), **options).id.int)


# The transaction


@pytest.mark.django_db(transaction=True)
def test_task_is_there_when_its_transaction_commits():
    with transaction.atomic():
        Order.objects.create(number=1)
        lab.quick.delay("a")
    assert (Order.objects.count(), Task.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_task_is_gone_when_its_transaction_rolls_back():
    def place():
        with transaction.atomic():
            Order.objects.create(number=1)
            lab.quick.delay("a")
            raise KeyError

    with pytest.raises(KeyError):
        place()
    assert (Order.objects.count(), Task.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_task_is_gone_when_its_savepoint_rolls_back():
    with transaction.atomic():
        lab.quick.delay("a")
        with transaction.atomic():
            lab.quick.delay("b")
            transaction.set_rollback(True)
        lab.quick.delay("c")
    payloads = Task.objects.order_by("id").values_list("payload", flat=True)
    assert list(payloads) == ['[["a"],{}]', '[["c"],{}]']


@pytest.mark.django_db(transaction=True)
def test_task_without_a_transaction_is_committed_at_once():
    lab.quick.delay("a")
    assert not connection.in_atomic_block
    assert seen_by_others() == 1


@pytest.mark.django_db(transaction=True)
def test_task_is_seen_by_nobody_before_the_commit():
    with transaction.atomic():
        lab.quick.delay("a")
        assert Task.objects.count() == 1
        assert seen_by_others() == 0
    assert seen_by_others() == 1


def seen_by_others():
    """How many tasks another connection sees."""
    counts = []

    def look():
        counts.append(Task.objects.count())
        connections.close_all()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return counts[0]


def test_task_is_refused_in_a_transaction_that_is_broken():
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            lab.quick.delay("a")


@pytest.mark.parametrize(
    "wrong",
    [{"priority": 101}, {"queue": ""}, {"countdown": 1e300}, {"eta": 1}, {"args": [object()]}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_refused_task_leaves_the_transaction_usable(wrong):
    with transaction.atomic():
        Order.objects.create(number=1)
        with pytest.raises((TypeError, ValueError)):
            lab.quick.apply_async(**wrong)
        Order.objects.create(number=2)
    assert Order.objects.count() == 2


# The row


def test_row_of_a_plain_task():
    task = enqueue()
    assert task.name == "tests.project.lab.tasks.quick"
    assert task.payload == "[[1],{}]"
    assert (task.queue, task.priority, task.max_losses) == ("default", 0, 3)
    assert (task.state, task.retries, task.attempt, task.losses) == (State.READY, 0, 0, 0)
    assert task.execute_at == task.created_at
    assert abs(task.created_at - timezone.now()) < datetime.timedelta(seconds=5)
    assert task.expires_at is task.worker_id is task.started_at is task.failed_at is None
    assert (task.isolated, task.unknown_since, task.error, task.traceback) == (False, None, "", "")


def test_enqueue_returns_the_primary_key():
    pk = outbox_enqueue.enqueue("some.task", [1], {"b": 2}, TaskOptions()).id
    task = Task.objects.get()
    assert (task.pk, task.name, task.payload) == (pk, "some.task", '[[1],{"b":2}]')


def test_queue_and_priority_are_by_default_those_of_the_task():
    task = enqueue(send)
    assert (task.queue, task.priority) == ("mail", -7)


def test_queue_and_priority_of_the_call_win():
    task = enqueue(send, queue="urgent", priority=100)
    assert (task.queue, task.priority) == ("urgent", 100)


def test_priority_zero_of_the_call_wins():
    assert enqueue(send, priority=0).priority == 0


@pytest.mark.parametrize(
    "name", ["q" * 64, "a b", "ümläut", "a.b-c/d", "'; DROP TABLE taskq_task", "%s"]
)
def test_queue_may_have_any_name(name):
    assert enqueue(queue=name).queue == name


@pytest.mark.parametrize("queue", ["", "q" * 65, "a,b", "mail*", "nul\0", 5, b"mail"])
def test_bad_queue_is_refused(queue):
    with pytest.raises((TypeError, ValueError), match="queue is "):
        enqueue(queue=queue)


@pytest.mark.parametrize("priority", [-100, -1, 0, 1, 100])
def test_priority_is_kept(priority):
    assert enqueue(priority=priority).priority == priority


@pytest.mark.parametrize("priority", [-101, 101, 1.0, "1", True, 10**30])
def test_bad_priority_is_refused(priority):
    with pytest.raises((TypeError, ValueError), match=r"priority is .*from -100 to 100"):
        enqueue(priority=priority)


def test_task_that_must_not_be_repeated_may_lose_no_worker():
    assert enqueue(charge).max_losses == 0


def test_losses_allowed_are_those_of_the_settings(settings):
    settings.TASKQ = {"MAX_LOSSES": 7}
    assert enqueue().max_losses == 7
    assert enqueue(charge).max_losses == 0


def test_payload_is_stored_as_it_is():
    text = 'it\'s 100% \\ "quoted" \0 %s %(name)s \ud800 é 🎈 $1 ?'
    task = Task.objects.get(pk=lab.quick.delay(text).id.int)
    assert payload.decode(task.payload) == ([text], {})


def test_using_names_the_database():
    assert enqueue(using="default").name
    with pytest.raises(Exception, match="nowhere"):
        lab.quick.apply_async((1,), using="nowhere")
