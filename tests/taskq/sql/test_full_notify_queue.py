"""Another program has filled the server's one queue of notifications: then every commit that
sends one fails. A wake-up is a hint, and is left out."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection, transaction

from stress.rig.pools import wait_until
from taskq.celery import AsyncResult
from taskq.models import Task
from taskq.store import endings
from tests.project.lab import tasks
from tests.taskq.scheduling import HOUR, back, tick
from tests.taskq.unique_tasks import define

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def full(worker):
    """The queue is full, and a pool asks for wake-ups."""
    worker.db.leases.set_listens(worker.id, True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('max_notify_queue_pages', true)")
        if cursor.fetchone() != ("64",):
            pytest.skip("this server's queue is too large to fill")
    where = connection.get_connection_params() | {"cursor_factory": None}
    with (
        psycopg.connect(**where, autocommit=True) as deaf,
        psycopg.connect(**where, autocommit=True) as other,
    ):
        deaf.execute("LISTEN others")
        deaf.execute("BEGIN")  # in which it reads none
        deaf.execute("SELECT 1")
        with pytest.raises(psycopg.Error, match="NOTIFY queue"):
            fill(other)
        yield other
    # To ask is what empties it: nobody else does, and the next test would find it full.
    with psycopg.connect(**where, autocommit=True) as asks:
        wait_until(lambda: usage(asks) < 0.1, what="the queue is empty again")


def usage(connection):
    return connection.execute("SELECT pg_notification_queue_usage()").fetchone()[0]


def fill(other):
    for _ in range(1_000):
        other.execute("SELECT pg_notify('others', repeat('x', 7900))")


def test_it_is_full(full):
    with pytest.raises(psycopg.Error, match="NOTIFY queue"):
        full.execute("NOTIFY taskq")


def test_tasks_are_sent_all_the_same(full):
    unique = define(unique="args")
    for number in range(3):
        tasks.quick.delay(number)
        tasks.quick.delay_many([(number,), (number,)])
        tasks.quick.apply_async((number,), idempotency_key=f"{number}")
        with transaction.atomic():
            tasks.quick.delay(number)
        unique.delay(number)
        unique.delay(number)  # joins
    assert Task.objects.count() == 18


def test_what_was_claimed_is_given_back(full, worker):
    tasks.quick.delay(1)
    task = worker.claim_one()
    assert worker.db.give_back(worker.id, [task.run]) == {task.id}


def test_a_tick_is_sent(full, write, table):
    write(a={})
    back("a", HOUR)
    assert tick(table()) == 1


def test_a_task_is_retried_and_cancelled_by_hand(full, worker):
    pk = tasks.quick.delay(1).id.int
    worker.db.end(worker.id, [endings.fail(worker.claim_one().run, error="", traceback="")])
    assert Task.objects.filter(pk=pk).retry() == 1
    worker.claim_one()
    AsyncResult(tasks.quick.delay(2).id).cancel()
    assert Task.objects.filter(pk=pk).cancel().asked == 1
