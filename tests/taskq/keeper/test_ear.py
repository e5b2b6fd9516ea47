"""When a pool asks for wake-ups, and that it hears each."""

import select
from collections import Counter
from types import SimpleNamespace

import psycopg
import pytest
from django.db import connection

from pool import clock
from stress.rig.pools import wait_until
from taskq.keeper.listener import CALM, CALM_MOST, MANY_WAKES, Ear
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
def ear(quiet):
    return Ear(SimpleNamespace(leases=lambda: quiet))


def test_it_opens_when_there_was_no_work_for_a_while(ear):
    now = 100 * SECOND
    assert not ear.should_open(now, now)
    assert ear.should_open(now, now - clock.nanoseconds(CALM) - 1)


def crowd(ear, quiet, now):
    quiet.rings = True
    for _ in range(MANY_WAKES):
        ear.heard(now)
    quiet.rings = False


def test_a_crowd_closes_it_and_single_wake_ups_do_not(ear, quiet):
    now = 100 * SECOND
    ear.switch(now, 0)
    quiet.rings = True
    for second in range(10):
        ear.heard(now + second * SECOND)
    assert ear.should_open(now, 0)
    crowd(ear, quiet, now)
    assert not ear.should_open(now, 0)


def test_crowds_for_nothing_keep_it_closed_ever_longer_up_to_a_limit(ear, quiet):
    now, waits = 100 * SECOND, []
    for _ in range(8):
        ear.switch(now, 0)
        crowd(ear, quiet, now)
        ear.switch(now, 0)
        closed = now
        while not ear.should_open(now, 0):
            now += SECOND // 100
        waits.append((now - closed) / SECOND)
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(2 * CALM, abs=0.02)
    assert waits[-1] == pytest.approx(CALM_MOST, abs=0.02)


def test_after_a_crowd_that_brought_work_it_opens_as_soon_as_it_is_calm(ear, quiet):
    now = 100 * SECOND
    ear.switch(now, now)
    crowd(ear, quiet, now)
    ear.switch(now, now)
    assert ear.should_open(now + clock.nanoseconds(CALM) + 1, now)


@pytest.mark.postgresql
def test_a_wake_up_that_comes_with_the_answer_to_a_statement_is_heard(db_leases, database_url):
    ear = Ear(SimpleNamespace(leases=lambda: db_leases))
    db_leases.listen()
    with psycopg.connect(database_url, autocommit=True) as enqueuer:
        enqueuer.execute("SELECT pg_notify('taskq', '')")

    def arrived():
        return select.select([ear.fileno()], [], [], 0)[0]

    wait_until(arrived)
    db_leases.workers.expired()
    assert not arrived()
    assert ear.heard(clock.now())
    assert not ear.heard(clock.now())


@pytest.mark.postgresql
def test_it_hears_of_a_cancel_and_takes_that_for_no_wake_up(connect, worker):
    ear = Ear(SimpleNamespace(leases=lambda: worker.db))
    # It need not be open for that: a pool that never sleeps hears of it as well.
    assert not ear.heard(100 * SECOND)
    other = connect()
    lab.quick.delay("a")
    worker.claim_one()
    for _ in range(MANY_WAKES):
        Task.objects.all().cancel()
        assert set(wait_until(lambda: ear.heard(100 * SECOND))) == {CANCEL}
    assert ear.should_open(100 * SECOND, 0)
    ear.switch(100 * SECOND, 0)
    other.workers.set_listens(worker.id, True)
    lab.quick.delay("b")
    assert set(wait_until(lambda: ear.heard(100 * SECOND))) == {WORK}


@pytest.mark.postgresql
@pytest.mark.parametrize("asked", [False, True], ids=["alone", "with an answer"])
def test_each_wake_up_is_heard_once_however_it_came(db_leases, asked):
    """Alone, or on the heels of the answer to a statement, as the keeper sends many."""
    db_leases.listen()
    for said in (WORK, CANCEL, WORK):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('taskq', %s)", [said])
    if asked:
        db_leases.lanes(Queues())
    heard: Counter[str] = Counter()

    def all_heard():
        heard.update(db_leases.woken())
        return heard.total() >= 3

    wait_until(all_heard)
    assert heard == {WORK: 2, CANCEL: 1}
    assert not db_leases.woken()
