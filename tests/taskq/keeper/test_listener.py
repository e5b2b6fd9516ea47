"""When a pool asks for wake-ups, and that it hears each."""

import select
import threading
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import psycopg
import pytest
from django.db import connection

from pool import Scoreboard, clock
from stress.rig.pools import wait_until
from taskq.keeper.listener import (
    CALM,
    CALM_MOST,
    LAZY_LOOK,
    MANY_WAITING,
    MANY_WAKES,
    SETTLED,
    WAITING_LOOK,
    Listener,
)
from taskq.models import Task
from taskq.sql import CANCEL, STACK, WORK
from taskq.task.queues import Queues
from tests.project.lab import tasks as lab

SECOND = clock.SECOND


class Database:
    """A connection on which wake-ups come when the test says so."""

    def __init__(self):
        self.rings = False
        self.waiting = 0
        self.asked = 0
        self.leases = self

    def woken(self):
        return Counter([WORK] if self.rings else [])

    def listen(self):
        pass

    def notifiers_waiting(self):
        self.asked += 1
        if isinstance(self.waiting, Exception):
            raise self.waiting
        return self.waiting


class PoolInTime:
    """A listener, and the time and the runs of its pool as the test says."""

    def __init__(self):
        self.now = 100 * SECOND
        self.database = Database()
        scoreboard = Scoreboard(2)
        self.listener = Listener(SimpleNamespace(store=lambda: self.database), scoreboard)
        self.keeper, self.worker = scoreboard.slots

    def look(self, *, work_in_sight=False):
        """What the dispatcher does after each of its looks."""
        wanted = self.listener.should_open(self.now, work_in_sight=work_in_sight)
        if wanted != self.listener.open:
            self.listener.switch(self.now)
        return self.listener.open

    def pass_time(self, seconds, *, runs=0, wakes=0):
        """Let time pass, with a look each 10 ms, and so many runs and wake-ups a second. Whether
        it listened throughout."""
        listened, steps = True, round(seconds / 0.01)
        for step in range(steps):
            self.now += SECOND // 100
            self.worker.done += round(runs * (step + 1) / 100) - round(runs * step / 100)
            for _ in range(round(wakes * (step + 1) / 100) - round(wakes * step / 100)):
                self.database.rings = True
                self.listener.heard(self.now)
            self.database.rings = False
            listened = self.look() and listened
        return listened


@pytest.fixture
def pool():
    pool = PoolInTime()
    assert pool.look()  # an idle one listens
    assert pool.keeper.listens
    return pool


def close(pool):
    """By a crowd, after it has listened for long."""
    pool.pass_time(10)
    pool.pass_time(0.1, runs=1000, wakes=1000)
    assert not pool.listener.open


def seconds_until_it_opens(pool, **load):
    began = pool.now
    while not pool.listener.open:
        pool.pass_time(0.01, **load)
    return (pool.now - began) / SECOND


def test_a_crowd_closes_it_and_single_wake_ups_do_not(pool):
    assert pool.pass_time(10, runs=100, wakes=100)
    pool.pass_time(0.1, runs=1000, wakes=1000)
    assert not pool.listener.open


def test_a_new_connection_has_missed_what_was_said_before(pool):
    """A cancel, or a request for a stack: an idle pool would not look for it again."""
    assert pool.listener.heard(pool.now) == Counter([CANCEL, STACK])
    assert not pool.listener.heard(pool.now)
    pool.database = Database()
    assert pool.listener.heard(pool.now) == Counter([CANCEL, STACK])
    assert not pool.listener.heard(pool.now)


def test_it_opens_again_though_tasks_trickle_in_without_a_pause(pool):
    close(pool)
    assert seconds_until_it_opens(pool, runs=100) <= 2 * CALM + 0.02
    assert pool.pass_time(10, runs=100, wakes=100)


def test_it_stays_closed_while_many_tasks_come(pool):
    close(pool)
    for _ in range(50):
        pool.pass_time(0.1, runs=300)
        assert not pool.listener.open
    assert seconds_until_it_opens(pool) <= 2 * CALM + 0.02


def test_it_does_not_open_while_work_is_in_sight(pool):
    """Busy workers come to it by themselves. In a backlog of slow tasks few runs begin."""
    close(pool)
    pool.now += 10 * SECOND
    assert not pool.look(work_in_sight=True)
    assert pool.look()


def test_crowds_soon_after_it_opened_keep_it_closed_ever_longer_up_to_a_limit(pool):
    """They come for nothing: tasks of queues that others serve."""
    waits = []
    for _ in range(8):
        pool.pass_time(0.1, wakes=1000)
        waits.append(seconds_until_it_opens(pool, runs=20))
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(2 * CALM, abs=0.1)
    assert waits[-1] == pytest.approx(CALM_MOST, abs=0.1)
    pool.pass_time(2 * SETTLED)
    pool.pass_time(0.1, wakes=1000)
    assert seconds_until_it_opens(pool) == pytest.approx(CALM, abs=0.1)


def test_a_crowd_of_its_own_tasks_makes_it_wait_no_longer(pool):
    for _ in range(8):
        pool.pass_time(0.1, wakes=1000)
        seconds_until_it_opens(pool)
    pool.pass_time(0.1, wakes=1000)
    pool.pass_time(1, runs=1000)
    assert seconds_until_it_opens(pool) <= 2 * CALM + 0.02


def test_after_it_opened_its_pool_looks_ever_more_rarely(pool):
    """For transactions that sent their tasks before, and commit without a wake-up."""
    pauses, opened = [], pool.now
    while pool.now < opened + 60 * SECOND:
        pauses.append(pool.listener.pause(pool.now, 0, poll=1.0))
        pool.now += clock.nanoseconds(pauses[-1])
    assert pauses == sorted(pauses)
    assert pauses[0] == LAZY_LOOK
    assert pauses[-1] == 1.0
    assert len(pauses) < 60 + 10


def test_commits_that_wait_for_one_another_close_it_before_there_is_a_crowd(pool):
    pool.pass_time(1, runs=100, wakes=100)
    pool.database.waiting = MANY_WAITING - 1
    assert pool.pass_time(1, runs=100, wakes=100)
    pool.database.waiting = MANY_WAITING
    assert not pool.pass_time(WAITING_LOOK + 0.02, runs=100, wakes=100)


def test_it_seldom_asks_whether_commits_wait(pool):
    assert pool.pass_time(10, runs=10, wakes=10)
    assert pool.database.asked == 0
    assert pool.pass_time(10, runs=100, wakes=100)
    assert pool.database.asked <= 10 / WAITING_LOOK + 1
    pool.pass_time(1)
    asked = pool.database.asked
    pool.pass_time(10)
    assert pool.database.asked == asked


def test_where_it_may_not_ask_it_listens_on(pool):
    pool.database.waiting = psycopg.errors.InsufficientPrivilege()
    assert pool.pass_time(1, runs=100, wakes=100)
    pool.database.waiting = psycopg.OperationalError("the connection is lost")
    with pytest.raises(psycopg.OperationalError):
        pool.pass_time(1, runs=100, wakes=100)


@contextmanager
def no_commit_ends(url):
    """Each commit of the server that writes waits for a standby that it does not have."""
    with psycopg.connect(url, autocommit=True) as other:
        try:
            other.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        except psycopg.errors.InsufficientPrivilege:
            pytest.skip("the role may not change this server's settings")
        try:
            other.execute("SELECT pg_reload_conf()")
            yield
        finally:
            other.execute("ALTER SYSTEM RESET synchronous_standby_names")
            other.execute("SELECT pg_reload_conf()")


@pytest.mark.postgresql
def test_the_commits_that_wait_to_notify_are_counted(db_store, database_url):
    over = threading.Event()

    def write_and_notify():
        with psycopg.connect(database_url, autocommit=True) as enqueuer:
            while not over.is_set():  # the first ones may end: a server takes a setting in time
                enqueuer.execute(
                    "SELECT pg_logical_emit_message(true, '', ''), pg_notify('taskq', '')"
                )

    threads = [threading.Thread(target=write_and_notify) for _ in range(3)]
    try:
        with no_commit_ends(database_url):
            for thread in threads:
                thread.start()
            wait_until(lambda: db_store.leases.notifiers_waiting() == 2)
            over.set()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert db_store.leases.notifiers_waiting() == 0


@pytest.mark.postgresql
def test_a_wake_up_that_comes_with_the_answer_to_a_statement_is_heard(db_store, database_url):
    listener = Listener(SimpleNamespace(store=lambda: db_store), Scoreboard(1))
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
    listener = Listener(SimpleNamespace(store=lambda: worker.db), Scoreboard(1))
    # It need not be open for that: a pool that never sleeps hears of it as well.
    listener.heard(100 * SECOND)
    other = connect()
    lab.quick.delay("a")
    worker.claim_one()
    for _ in range(MANY_WAKES):
        Task.objects.all().cancel()
        assert set(wait_until(lambda: listener.heard(100 * SECOND))) == {CANCEL}
    assert listener.should_open(100 * SECOND, work_in_sight=False)
    listener.switch(100 * SECOND)
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
