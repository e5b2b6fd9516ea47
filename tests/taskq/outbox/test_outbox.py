"""Enqueueing: what is in the row, and that it lives and dies with the transaction."""

from __future__ import annotations

import datetime
import threading
from zoneinfo import ZoneInfo

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

BERLIN = ZoneInfo("Europe/Berlin")


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


# When it is due

SECOND = datetime.timedelta(seconds=1)


def wait_of(task):
    return (task.execute_at - task.created_at) / SECOND


@pytest.mark.parametrize("countdown", [0, 1, 90, 0.25, 1.125, 59.999, 3600.5])
def test_countdown_keeps_its_fraction(countdown):
    assert wait_of(enqueue(countdown=countdown)) == pytest.approx(countdown, abs=0.0005)


def test_countdown_may_be_a_timedelta():
    wait = datetime.timedelta(hours=1, milliseconds=250)
    assert wait_of(enqueue(countdown=wait)) == 3600.25


@pytest.mark.parametrize("countdown", [-1, -0.5, datetime.timedelta(days=-1)])
def test_countdown_that_has_passed_is_due_now_and_jumps_no_queue(countdown):
    assert wait_of(enqueue(countdown=countdown)) == 0


def test_countdown_is_reckoned_by_the_clock_of_the_database(monkeypatch):
    """Created and due are of one statement: no clock of this host can come between."""
    monkeypatch.setattr(timezone, "now", lambda: pytest.fail("asked this host for the time"))
    assert wait_of(enqueue(countdown=10.5)) == 10.5


@pytest.mark.postgresql
def test_countdown_begins_with_the_call_in_a_long_transaction():
    def clock():
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp(), pg_sleep(0.1)")
            return cursor.fetchone()[0]

    with transaction.atomic():
        clock()
        before = clock()
        task = enqueue(countdown=5)
        assert task.execute_at > before + 5 * SECOND


def test_long_countdown_is_kept():
    years = datetime.timedelta(days=365 * 100)
    assert wait_of(enqueue(countdown=years)) == years / SECOND


@pytest.mark.parametrize(
    "countdown",
    [float("nan"), float("inf"), -float("inf"), 1e11, 10**400, -1e11, "5", True, [], object()],
)
def test_bad_countdown_is_refused(countdown):
    with pytest.raises(
        (TypeError, ValueError), match=r"countdown is .*: give a timedelta or a number of seconds"
    ):
        enqueue(countdown=countdown)


def test_aware_eta_is_kept_to_the_microsecond():
    eta = datetime.datetime(2030, 7, 1, 12, 30, 15, 123456, tzinfo=BERLIN)
    assert enqueue(eta=eta).execute_at == eta


def test_eta_may_have_passed():
    eta = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    assert enqueue(eta=eta).execute_at == eta


def test_naive_eta_is_in_the_current_time_zone():
    eta = datetime.datetime(2030, 7, 1, 12, 30)
    with timezone.override(BERLIN):
        assert enqueue(eta=eta).execute_at == eta.replace(tzinfo=BERLIN)
    assert enqueue(eta=eta).execute_at == eta.replace(tzinfo=datetime.UTC)


def test_given_both_the_countdown_counts_as_in_celery():
    eta = datetime.datetime(2030, 7, 1, tzinfo=datetime.UTC)
    assert wait_of(enqueue(eta=eta, countdown=10)) == 10
    assert enqueue(eta=eta, countdown=0).execute_at == eta


@pytest.mark.parametrize(
    "eta", ["2030-01-01", 5, datetime.date(2030, 1, 1), datetime.timedelta(1), True]
)
def test_bad_eta_is_refused(eta):
    with pytest.raises(TypeError, match=r"eta is .*: give a datetime"):
        enqueue(eta=eta)


def test_bad_eta_is_refused_beside_a_countdown():
    with pytest.raises(TypeError, match="eta is 5"):
        enqueue(eta=5, countdown=10)


@pytest.mark.parametrize(
    ("moment", "hours"), [(datetime.datetime.max, -5), (datetime.datetime.min, 5)]
)
@pytest.mark.parametrize("option", ["eta", "expires"])
def test_moment_that_no_datetime_can_hold_in_utc_is_refused(option, moment, hours):
    """PostgreSQL would take it, and nobody could read the row any more."""
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    with pytest.raises(ValueError, match=f"{option} is datetime.*: in UTC no datetime can hold it"):
        enqueue(**{option: moment.replace(tzinfo=zone)})


def test_the_last_moment_of_all_can_be_read_again():
    assert enqueue(eta=datetime.datetime.max).execute_at.year == 9999


# Until when


def life_of(task):
    return (task.expires_at - task.created_at) / SECOND


@pytest.mark.parametrize("expires", [1, 0.25, 3600.5, 0, -5])
def test_expires_in_so_many_seconds(expires):
    assert life_of(enqueue(expires=expires)) == pytest.approx(expires, abs=0.0005)


def test_expires_after_a_timedelta():
    assert life_of(enqueue(expires=datetime.timedelta(minutes=2, milliseconds=5))) == 120.005


def test_expires_at_an_aware_moment():
    moment = datetime.datetime(2030, 7, 1, 12, 30, 15, 123456, tzinfo=BERLIN)
    assert enqueue(expires=moment).expires_at == moment


def test_expires_at_a_naive_moment_of_the_current_time_zone():
    moment = datetime.datetime(2030, 7, 1, 12, 30)
    with timezone.override(BERLIN):
        assert enqueue(expires=moment).expires_at == moment.replace(tzinfo=BERLIN)


def test_expires_is_reckoned_from_the_call_not_from_the_countdown():
    task = enqueue(countdown=60, expires=90)
    assert (wait_of(task), life_of(task)) == (60, 90)


@pytest.mark.parametrize("expires", ["soon", True, datetime.date(2030, 1, 1), float("nan"), 1e12])
def test_bad_expires_is_refused(expires):
    with pytest.raises(
        (TypeError, ValueError), match=r"expires is .*: give a datetime, a timedelta or a number"
    ):
        enqueue(expires=expires)
