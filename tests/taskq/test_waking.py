"""How a pool hears of work, and how little it asks while there is none."""

import os
import signal
import time

import psutil
import pytest
from django.db import connection, transaction

from pool import Slot, clock
from pool import State as SlotState
from stress.pools import wait_until
from taskq import claiming
from taskq.claiming import REST
from taskq.claims import Lane
from taskq.conf import Settings
from taskq.ear import MANY_WAKES
from taskq.keeper import Keeper
from taskq.leases import Leases
from taskq.models import State, Task
from taskq.queues import Queues
from taskq.service import LOOKOUT, Service
from taskq.sql import postgresql
from taskq.sql.postgresql_connection import Connection
from tests.conftest import looks_seldom
from tests.project.lab import tasks
from tests.taskq.conftest import child_of_no_pool, worker_of_no_pool
from tests.taskq.waking import DEAF, asleep, crowded_out, ring


def stop(process):
    """Until it has stopped: a worker that is yet to may be woken."""
    process.suspend()
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED)


@pytest.mark.postgresql
def test_a_sleeping_pool_is_woken_by_the_commit(start_pool, runs):
    start_pool("-c", 2, *DEAF)
    wait_until(asleep)
    with transaction.atomic():
        tasks.quick.delay("a")
        tasks.quick.delay("b")
    wait_until(lambda: len(runs("end")) == 2, seconds=5)


@pytest.mark.postgresql
def test_who_was_woken_claims_without_a_look_at_the_lanes_before(worker, monkeypatch):
    """A round trip less until the task starts."""
    woken = worker_of_no_pool(worker.id)
    statements: list[str] = []
    rows = Connection.rows

    def recorded(connection, statement, values):
        statements.append(statement)
        return rows(connection, statement, values)

    monkeypatch.setattr(Connection, "rows", recorded)
    tasks.quick.delay("a")
    assert woken.claimer.fetch().name == tasks.quick.name
    assert statements == [postgresql.CLAIM_FIRST]
    woken.link.close()


@pytest.mark.sqlite
def test_a_sleeping_pool_sees_the_commit_in_the_file(start_pool, runs):
    start_pool("-c", 2, *DEAF)
    tasks.quick.delay("a")
    wait_until(lambda: runs("end", "a"), seconds=5)


def test_a_future_task_starts_when_it_is_due_not_at_the_next_poll(start_pool, runs):
    start_pool("-c", 1, *DEAF)
    if connection.vendor == "postgresql":
        wait_until(asleep)
    began = time.monotonic()
    tasks.quick.apply_async(("a",), countdown=1.2)
    wait_until(lambda: runs("end", "a"), seconds=5)
    assert time.monotonic() - began >= 1.2


@pytest.mark.postgresql
def test_slow_tasks_wake_as_many_workers_also_of_those_that_know_quick_ones(start_pool, runs):
    """They would claim many, and get one: that there are more must not wait for a poll."""
    pool = start_pool("-c", 4, *DEAF)

    def rests():
        idle = [doing for _, doing in pool.titles("worker").values()] == ["idle"] * 4
        return idle and asleep()

    know = []
    for _ in range(4):  # who knows quick ones is stopped, or it might be quicker each time
        wait_until(rests)
        tasks.quick.delay("quick")
        wait_until(lambda: not Task.objects.exists())
        know.append(psutil.Process(runs("end", "quick")[-1]["pid"]))
        wait_until(rests)
        stop(know[-1])
    for each in know:
        each.resume()
    wait_until(rests)
    with transaction.atomic():
        tasks.nap.delay_many([("slow", 60)] * 4)
    wait_until(lambda: len(runs("start", "slow")) == 4, seconds=5)
    assert len({record["pid"] for record in runs("start", "slow")}) == 4


def test_many_tasks_wake_as_many_workers(start_pool, runs):
    start_pool("-c", 4, *DEAF)
    if connection.vendor == "postgresql":
        wait_until(asleep)
    with transaction.atomic():
        for key in range(4):
            tasks.nap.delay(key, 60)  # nobody comes to a second one
    wait_until(lambda: len(runs("start")) == 4, seconds=5)


@pytest.mark.postgresql  # in SQLite it might be stopped with the file locked
def test_a_frozen_idle_worker_swallows_no_wake_up(start_pool, runs):
    pool = start_pool("-c", 2, *DEAF)
    wait_until(asleep)
    wait_until(lambda: len(processes_that_looked()) == 3)
    first = psutil.Process(pool.children("worker")["worker 1"])
    stop(first)
    tasks.quick.delay("a")
    wait_until(lambda: runs("end", "a"), seconds=5)
    assert runs("end", "a")[0]["pid"] != first.pid


@pytest.mark.postgresql
def test_a_busy_pool_asks_for_no_wake_ups(start_pool, runs, drained):
    start_pool("-c", 2)
    wait_until(asleep)
    sent = 0

    def send_many():
        nonlocal sent
        for _ in range(20):
            tasks.quick.delay(sent)
            sent += 1
        ring(MANY_WAKES)
        return not asleep()

    wait_until(send_many, what="listens is off")
    drained()
    wait_until(asleep, what="calm again")
    assert len(runs("end")) == sent


@pytest.mark.postgresql
def test_tasks_that_come_in_one_by_one_are_claimed_together(start_pool, drained):
    pool = start_pool("-c", 1, *DEAF)
    wait_until(asleep)

    def claims():
        """Each claim looks up its worker by primary key, and little else does."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'taskq_worker_pkey'"
            )
            return cursor.fetchone()[0]

    before, began = claims(), time.monotonic()
    for _ in range(200):
        tasks.noop.delay()
        time.sleep(0.002)  # so long that one is done before the next comes
    took = time.monotonic() - began
    drained()
    assert pool.stop() == 0  # and its connections tell what they have counted
    wait_until(lambda: claims() > before)
    assert claims() - before < 10 + took / REST


@pytest.fixture
def second(worker, monkeypatch):
    """The second worker of a pool, which has just claimed and run all there was."""
    second = worker_of_no_pool(worker.id, number=2)
    monkeypatch.setattr(second.child, "wait", lambda *args: False)
    second.pace.note(tasks.noop.name, 0.0001)
    monkeypatch.setattr(claiming, "REST", 600)  # it is not over when we come to look
    tasks.noop.delay()
    second.perform(second.claimer.fetch())
    yield second
    second.link.close()


def test_of_workers_that_wait_for_tasks_to_come_in_all_but_one_sleep(second):
    """Each would get a few of them, at a commit each."""
    first = second.child.scoreboard.slots[1]
    first.look_began = clock.now()
    tasks.noop.delay()
    assert second.claimer.fetch() is None
    assert second.slot.state == SlotState.IDLE
    assert second.hand.empty  # what it had finished is written
    assert Task.objects.get().state == State.READY


def test_who_looks_for_long_is_not_relied_on(second):
    first = second.child.scoreboard.slots[1]
    first.look_began = clock.now() - clock.nanoseconds(1)
    tasks.noop.delay()
    assert second.claimer.fetch() is not None


def test_a_worker_that_looks_says_so_until_it_has_something(second, monkeypatch):
    slots, said = [second.slot], []
    claim, wake_one = second.claimer.claim, Service.wake_one

    def claimed(place):
        said.append(second.service.lookout(slots))
        return claim(place)

    def woken(service, scoreboard):
        said.append(second.service.lookout(slots))
        wake_one(service, scoreboard)

    monkeypatch.setattr(second.claimer, "claim", claimed)
    monkeypatch.setattr(Service, "wake_one", woken)
    tasks.nap.delay("not known to be quick", 0)  # for what is behind it another is woken
    assert second.claimer.fetch() is not None
    assert said == [True, False]


def test_who_left_it_to_another_looks_when_that_one_has_not(second, monkeypatch):
    """It claims too early, or dies, or has only slow ones in the end: no wake-up comes of that."""
    first, waits = second.child.scoreboard.slots[1], []

    def wait(seconds, *_):
        waits.append(seconds)
        time.sleep(seconds if seconds < 1 else 0)
        return False

    monkeypatch.setattr(second.child, "wait", wait)
    first.look_began = clock.now()
    assert second.claimer.fetch() is None
    assert waits == [LOOKOUT]
    first.look_ended = clock.now()
    monkeypatch.setattr(claiming, "REST", 0)
    second.claimer._rest_until = 0
    tasks.noop.delay()
    assert second.claimer.fetch() is not None


def test_who_left_it_to_another_sleeps_on_when_that_one_looks(second, monkeypatch):
    first, waits = second.child.scoreboard.slots[1], []

    def wait(seconds, *_):
        waits.append(seconds)
        time.sleep(seconds if seconds < 1 else 0)
        first.look_began = clock.now()
        return False

    monkeypatch.setattr(second.child, "wait", wait)
    first.look_began = clock.now()
    assert second.claimer.fetch() is None
    assert waits == [LOOKOUT, claiming.SLEEP]


@pytest.mark.postgresql
def test_while_a_worker_looks_in_a_crowd_the_keeper_asks_nothing(transactional_db, monkeypatch):
    child = child_of_no_pool("keeper")
    keeper = Keeper(child, Service(settings=Settings(), queues=Queues(), alias="default"))
    worker = child.scoreboard.slots[1]
    worker.pid, worker.state = os.getpid(), SlotState.IDLE
    woken: list[int] = []
    asked: list[object] = []
    monkeypatch.setattr(Slot, "wake", lambda slot: woken.append(slot.index))
    lanes = Leases.lanes
    monkeypatch.setattr(
        Leases, "lanes", lambda leases, queues: asked.append(queues) or lanes(leases, queues)
    )
    tasks.noop.delay()

    def wakes(*, looks, open):
        woken.clear()
        asked.clear()
        keeper._look_due = worker.look_ended = 0
        worker.look_began = clock.now() if looks else 0
        keeper.ear.open = open
        keeper.dispatch()
        return woken

    assert wakes(looks=False, open=False) == [1]
    assert wakes(looks=True, open=True) == [1]
    assert asked
    assert wakes(looks=True, open=False) == []
    assert not asked
    keeper.link.close()


def test_where_who_was_woken_does_not_claim_each_is_woken_in_its_turn(
    transactional_db, monkeypatch
):
    """One that hangs between two tasks, in a receiver say."""
    settings = Settings(listen=False)
    keeper = Keeper(
        child_of_no_pool("keeper", 3), Service(settings=settings, queues=Queues(), alias="default")
    )
    for slot in keeper.child.scoreboard.slots[1:]:
        slot.pid, slot.state = os.getpid(), SlotState.IDLE
    keeper.child.scoreboard.slots[2].asked = keeper.child.scoreboard.slots[2].generation
    woken = []
    monkeypatch.setattr(Slot, "wake", lambda slot: woken.append(slot.index))
    tasks.noop.delay()
    for _ in range(3):
        keeper._look_due = 0
        keeper.dispatch()
    assert woken == [1, 3, 1]
    keeper.link.close()


def test_one_look_that_was_held_up_blinds_nobody_for_long(transactional_db, monkeypatch):
    """A twentieth of the time, or a database that hung for 3 s would cost a minute."""
    settings = Settings(poll=0.2, listen=False)
    keeper = Keeper(
        child_of_no_pool("keeper"), Service(settings=settings, queues=Queues(), alias="default")
    )
    slot = keeper.child.scoreboard.slots[1]
    slot.pid, slot.state = os.getpid(), SlotState.IDLE
    monkeypatch.setattr(Leases, "lanes", lambda *_: time.sleep(0.1) or [])
    began = clock.now()
    keeper.dispatch()
    assert 0.1 < (keeper._look_due - began) / clock.SECOND <= 0.25
    keeper.link.close()


def test_nor_does_one_of_a_worker(second):
    now = clock.now()
    lane = Lane("default", 0, 0.0, "-infinity", 0)
    second.claimer.looked(now - clock.nanoseconds(10), [lane])
    assert second.claimer.known_lanes() == [lane]
    assert (second.claimer._stale - now) / clock.SECOND < 1.5


def test_told_to_stop_while_it_rests_it_claims_no_more(second, monkeypatch):
    waits = []

    def wait(seconds, *_):
        waits.append(seconds)
        second.child._handle_term(signal.SIGTERM, None)
        return False

    monkeypatch.setattr(second.child, "wait", wait)
    tasks.noop.delay()
    assert second.claimer.fetch() is None
    assert len(waits) == 1, "it sleeps, though the signal has been"
    assert Task.objects.get().state == State.READY


@pytest.mark.postgresql
def test_a_pool_that_stops_listening_while_workers_sleep_misses_nothing(start_pool, drained):
    start_pool("-c", 4, *DEAF)
    wait_until(asleep)
    wait_until(crowded_out, what="listens is off")
    for _ in range(20):
        tasks.quick.delay(0)
        drained(seconds=5)
    wait_until(asleep, what="calm again")


@pytest.mark.postgresql
def test_without_listen_the_pool_polls(start_pool, runs):
    pool = start_pool("-c", 1, "--poll", 0.3, TASKQ_LISTEN="false")
    tasks.quick.delay("a")
    wait_until(lambda: runs("end", "a"), seconds=5)
    assert not asleep()
    assert pool.stop() == 0


def processes_that_looked():
    """Those whose last statement is no longer one of opening the connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'taskq %%' "
            "AND datname = current_database() AND state = 'idle' AND query LIKE '%%taskq_%%'",
            [],
        )
        return cursor.fetchall()


@pytest.mark.postgresql
def test_an_idle_pool_asks_the_database_next_to_nothing(start_pool):
    start_pool("-c", 8)
    wait_until(asleep)
    # Each worker looks once, when it gets its first lease.
    wait_until(lambda: len(processes_that_looked()) == 9)
    seen: set[tuple[int, object]] = set()
    began = time.monotonic()

    def watch(seconds):
        """Each statement of the pool shows in the activity view with a start of its own."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid, query_start FROM pg_stat_activity "
                "WHERE application_name LIKE 'taskq %%' AND pid <> pg_backend_pid()",
                [],
            )
            seen.update(cursor.fetchall())
        return time.monotonic() - began > seconds

    watch(0)
    before = len(seen)
    wait_until(lambda: watch(8))
    assert 4 <= len(seen) - before <= 1.5 * 8


def test_the_supervisor_of_an_idle_pool_looks_seldom(start_pool):
    pool = start_pool("-c", 2)
    wait_until(lambda: looks_seldom(pool.pid), seconds=60)
