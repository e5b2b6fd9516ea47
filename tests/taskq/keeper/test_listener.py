"""When a pool asks for wake-ups, and that it hears each."""

import select
from collections import Counter
from types import SimpleNamespace

import psycopg
import pytest
from django.db import connection

from pool import clock
from stress.rig.pools import wait_until
from taskq.keeper.listener import CALM, CALM_MOST, MANY_WAKES, Listener
from taskq.models import Task
from taskq.sql import CANCEL, WORK
from taskq.task.queues import Queues
from tests.project.lab import tasks as lab

SECOND = clock.SECOND


class Quiet:
    """A connection on which wake-ups come when the test says so."""

    def __init__(self):
        self.rings = False

    def woken(self):
        return Counter([WORK] if self.rings else [])

    def listen(self):
        pass


@pytest.fixture
def quiet():
    return Quiet()


@pytest.fixture
def listener(quiet):
    return Listener(SimpleNamespace(store=lambda: quiet))


def test_it_opens_when_there_was_no_work_for_a_while(listener):
    now = 100 * SECOND
    assert not listener.should_open(now, now)
    assert listener.should_open(now, now - clock.nanoseconds(CALM) - 1)


def crowd(listener, quiet, now):
    quiet.rings = True
    for _ in range(MANY_WAKES):
        listener.heard(now)
    quiet.rings = False


def test_a_crowd_closes_it_and_single_wake_ups_do_not(listener, quiet):
    now = 100 * SECOND
    listener.switch(now, 0)
    quiet.rings = True
    for second in range(10):
        listener.heard(now + second * SECOND)
    assert listener.should_open(now, 0)
    crowd(listener, quiet, now)
    assert not listener.should_open(now, 0)


def test_crowds_for_nothing_keep_it_closed_ever_longer_up_to_a_limit(listener, quiet):
    now, waits = 100 * SECOND, []
    for _ in range(8):
        listener.switch(now, 0)
        crowd(listener, quiet, now)
        listener.switch(now, 0)
        closed = now
        while not listener.should_open(now, 0):
            now += SECOND // 100
        waits.append((now - closed) / SECOND)
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(2 * CALM, abs=0.02)
    assert waits[-1] == pytest.approx(CALM_MOST, abs=0.02)


def test_after_a_crowd_that_brought_work_it_opens_as_soon_as_it_is_calm(listener, quiet):
    now = 100 * SECOND
    listener.switch(now, now)
    crowd(listener, quiet, now)
    listener.switch(now, now)
    assert listener.should_open(now + clock.nanoseconds(CALM) + 1, now)


@pytest.mark.postgresql
def test_a_wake_up_that_comes_with_the_answer_to_a_statement_is_heard(db_store, database_url):
    listener = Listener(SimpleNamespace(store=lambda: db_store))
    db_store.listen()
    with psycopg.connect(database_url, autocommit=True) as enqueuer:
        enqueuer.execute("SELECT pg_notify('taskq', '')")

    def arrived():
        return select.select([listener.fileno()], [], [], 0)[0]

    wait_until(arrived)
    db_store.leases.expired()
    assert not arrived()
    assert listener.heard(clock.now())
    assert not listener.heard(clock.now())


@pytest.mark.postgresql
def test_it_hears_of_a_cancel_and_takes_that_for_no_wake_up(connect, worker):
    listener = Listener(SimpleNamespace(store=lambda: worker.db))
    # It need not be open for that: a pool that never sleeps hears of it as well.
    assert not listener.heard(100 * SECOND)
    other = connect()
    lab.quick.delay("a")
    worker.claim_one()
    for _ in range(MANY_WAKES):
        Task.objects.all().cancel()
        assert set(wait_until(lambda: listener.heard(100 * SECOND))) == {CANCEL}
    assert listener.should_open(100 * SECOND, 0)
    listener.switch(100 * SECOND, 0)
    other.leases.set_listens(worker.id, True)
    lab.quick.delay("b")
    assert set(wait_until(lambda: listener.heard(100 * SECOND))) == {WORK}


@pytest.mark.postgresql
@pytest.mark.parametrize("asked", [False, True], ids=["alone", "with an answer"])
def test_each_wake_up_is_heard_once_however_it_came(db_store, asked):
    """Alone, or on the heels of the answer to a statement, as the keeper sends many."""
    db_store.listen()
    for said in (WORK, CANCEL, WORK):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('taskq', %s)", [said])
    if asked:
        db_store.lanes(Queues())
    heard: Counter[str] = Counter()

    def all_heard():
        heard.update(db_store.woken())
        return heard.total() >= 3

    wait_until(all_heard)
    assert heard == {WORK: 2, CANCEL: 1}
    assert not db_store.woken()
