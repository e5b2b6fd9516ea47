"""SQLite's one write lock: asked for often, left to the keeper first, and its wait is named."""

import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import pytest
from django.db import connection

from pool import clock
from stress.rig.pools import wait_until
from taskq.sql.sqlite import lock
from taskq.store import connecting, endings, turns
from taskq.store.turns import Turn
from tests.conftest import GENEROUS
from tests.project.lab import tasks
from tests.taskq.conftest import child_of_no_pool

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


@contextmanager
def write_lock():
    """Meanwhile somebody else writes."""
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 60000")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")


class Process:
    """A process of a pool, as far as SQLite knows."""

    def __init__(self, child, *, first):
        self.child = child
        self.done = threading.Event()
        self.turn = Turn(child, first=first)
        self.error = None

    def begin(self, act):
        """In a thread, on a connection of its own."""
        self.thread = threading.Thread(target=self._run, args=[act], daemon=True)
        self.thread.start()

    def _run(self, act):
        try:
            with closing(connecting.connect("default", lease=30, turn=self.turn)) as db:
                act(db)
        except Exception as error:
            self.error = error
        finally:
            connection.close()


@pytest.fixture
def keeper_and_worker():
    child = child_of_no_pool("worker")
    keeper, worker = Process(child, first=True), Process(child, first=False)
    yield keeper, worker
    for each in (keeper, worker):
        each.thread.join(GENEROUS)
        assert not each.error


def renew(order):
    def act(db):
        db.leases.renew([1], 30)
        order.append("keeper")

    return act


def test_workers_write_only_once_a_keeper_that_waits_has_written(keeper_and_worker, monkeypatch):
    # As on a machine on which the keeper's thread comes late to each of its tries.
    monkeypatch.setattr(lock, "FIRST", (0.03, 0.05))
    monkeypatch.setattr(turns, "HOLD", GENEROUS)
    keeper, worker = keeper_and_worker
    scoreboard, order, over = keeper.child.scoreboard, [], keeper.turn.over
    # Said before the workers may go on.
    monkeypatch.setattr(
        keeper.turn, "over", lambda seconds: order.append("keeper") or over(seconds)
    )
    for _ in range(5):
        order.clear()
        with write_lock():
            keeper.begin(lambda db: db.leases.renew([1], 30))
            wait_until(lambda: clock.now() < scoreboard.others_wait_until)
            worker.begin(lambda db: order.append(db.end(7, [endings.finish((1, 1))]) or "worker"))
            time.sleep(0.02)  # the worker would ask from here on
        keeper.thread.join(GENEROUS)
        worker.thread.join(GENEROUS)
        assert order == ["keeper", "worker"]


def test_nobody_waits_for_long_for_a_keeper_that_died_while_it_waited(keeper_and_worker):
    keeper, worker = keeper_and_worker
    keeper.turn.waits()
    order = []
    worker.begin(lambda db: order.append(db.end(7, [endings.finish((1, 1))])))
    worker.thread.join(GENEROUS)
    assert order == [set()]
    assert clock.now() > keeper.child.scoreboard.others_wait_until > 0
    keeper.begin(renew(order))


def test_who_has_the_lock_gives_way_to_nobody(keeper_and_worker):
    """The keeper would wait for it."""
    keeper, worker = keeper_and_worker
    scoreboard, order = keeper.child.scoreboard, []

    def write(db):
        with db.connection.transaction():
            keeper.begin(renew(order))
            wait_until(lambda: clock.now() < scoreboard.others_wait_until)
            db.connection.count("UPDATE taskq_task SET priority = 1", {})
            order.append("worker")

    worker.begin(write)
    worker.thread.join(GENEROUS)
    keeper.thread.join(GENEROUS)
    assert order == ["worker", "keeper"]


def test_it_is_asked_for_every_few_milliseconds_however_long_that_takes(monkeypatch):
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 200:
            other.execute("COMMIT")

    with (
        closing(connecting.connect("default", lease=30)) as db,
        closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(lock.time, "sleep", sleep)
        assert not db.leases.renew([1], 30).kept
    assert len(pauses) == 200
    assert max(pauses) < 0.01


def test_a_wait_that_ends_in_vain_is_the_drivers_error():
    with closing(connecting.connect("default", lease=30)) as db, write_lock():
        db.connection._write_lock._patience = clock.nanoseconds(0.05)
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            db.leases.renew([1], 30)


def test_a_long_wait_is_named_and_the_keeper_does_not_seem_to_hang(
    keeper_and_worker, monkeypatch, caplog
):
    monkeypatch.setattr(turns, "LONG", 0.1)
    keeper, worker = keeper_and_worker
    keeper.child.slot.beat = 0
    order = []
    with write_lock():
        began = clock.now()
        keeper.begin(renew(order))
        wait_until(lambda: clock.now() - began > clock.nanoseconds(0.3))
        wait_until(lambda: keeper.child.slot.beat > began)
    keeper.thread.join(GENEROUS)
    (said,) = [record for record in caplog.records if record.event == "database.write_lock"]
    assert said.getMessage().startswith("worker 1: waited 0.")
    assert "s for SQLite's write lock, which others held" in said.getMessage()
    worker.begin(lambda db: db.end(7, []))


def test_a_pools_renewals_come_through_a_storm_of_writes(start_pool, drained, runs):
    """Its processes connect with the turns that the tests above take by hand."""
    pool = start_pool("-c", 2, "--lease", "6", "--heartbeat", "0.5")
    tasks.nap.delay("a", 8)
    until = time.monotonic() + 3
    while time.monotonic() < until:
        with write_lock():
            time.sleep(0.02)
    drained()
    assert len(runs("start", "a")) == 1
    assert "lease ran out" not in pool.log()
    assert "no longer responsive" not in pool.log()
