"""How a pool hears of work, and how little it asks while there is none."""

import time

import psutil
import pytest
from django.db import connection, transaction

from pool import clock
from stress.rig.pools import wait_until
from taskq.conf import Settings
from taskq.keeper.dispatcher import AFTERWARDS
from taskq.keeper.keeper import Duty
from taskq.keeper.listener import MANY_WAKES
from taskq.models import Task
from taskq.sql import CANCEL, WORK
from taskq.sql.postgresql import claims as postgresql_claims
from taskq.sql.postgresql.own_connection import Connection
from taskq.store.refusals import NEVER
from tests.conftest import looks_seldom
from tests.project.lab import tasks
from tests.taskq.conftest import keeper_of_no_pool, worker_of_no_pool
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
    wait_until(lambda: len(runs("end")) == 2)


@pytest.mark.postgresql
def test_a_commit_of_what_was_sent_before_the_pool_listened_is_seen(start_pool, runs):
    """It sends no wake-up."""
    with transaction.atomic():
        tasks.quick.delay("a")
        start_pool("-c", 1, *DEAF)
        wait_until(asleep)
    wait_until(lambda: runs("end", "a"))


@pytest.mark.postgresql
def test_who_was_woken_claims_without_a_look_at_the_lanes_before(worker, monkeypatch):
    """A round trip less until the task starts."""
    woken = worker_of_no_pool(worker.id)
    woken.session.store()  # to open the connection asks for the schema of the tables
    statements: list[str] = []
    rows = Connection.rows

    def recorded(connection, statement, values):
        statements.append(statement)
        return rows(connection, statement, values)

    monkeypatch.setattr(Connection, "rows", recorded)
    tasks.quick.delay("a")
    assert woken.fetch().name == tasks.quick.name
    assert statements == [postgresql_claims.CLAIM_FIRST]
    woken.session.close()


@pytest.mark.postgresql
@pytest.mark.parametrize("said", [WORK, CANCEL])
def test_no_round_follows_at_once_on_a_wake_up_for_work(transactional_db, said):
    """It would hold up the worker that was woken. The keeper looks after a moment."""
    keeper = keeper_of_no_pool(Settings())
    keeper.duties = [Duty("wait for a minute", lambda: 0, lambda: clock.now() + 60 * clock.SECOND)]
    keeper.dispatcher.hear(keeper.listener)  # LISTEN is said
    keeper.dispatcher.due = NEVER
    pauses = []
    wait = keeper.child.wait
    keeper.child.wait = lambda pause, *files: pauses.append(pause) or wait(pause, *files)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('taskq', %s)", [said])
    keeper.sleep()
    assert any(0 < pause <= AFTERWARDS for pause in pauses) == (said == WORK)
    keeper.session.close()


@pytest.mark.sqlite
def test_a_sleeping_pool_sees_the_commit_in_the_file(start_pool, runs):
    start_pool("-c", 2, *DEAF)
    tasks.quick.delay("a")
    wait_until(lambda: runs("end", "a"))


def test_a_future_task_starts_when_it_is_due_not_at_the_next_poll(start_pool, runs):
    start_pool("-c", 1, *DEAF)
    if connection.vendor == "postgresql":
        wait_until(asleep)
    began = time.monotonic()
    tasks.quick.apply_async(("a",), countdown=1.2)
    wait_until(lambda: runs("end", "a"))
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
    wait_until(lambda: len(runs("start", "slow")) == 4)
    assert len({record["pid"] for record in runs("start", "slow")}) == 4


def test_many_tasks_wake_as_many_workers(start_pool, runs):
    start_pool("-c", 4, *DEAF)
    if connection.vendor == "postgresql":
        wait_until(asleep)
    with transaction.atomic():
        for key in range(4):
            tasks.nap.delay(key, 60)  # nobody comes to a second one
    wait_until(lambda: len(runs("start")) == 4)


@pytest.mark.postgresql  # in SQLite it might be stopped with the file locked
def test_a_frozen_idle_worker_swallows_no_wake_up(start_pool, runs):
    pool = start_pool("-c", 2, *DEAF)
    wait_until(asleep)
    wait_until(lambda: len(processes_that_looked()) == 3)
    first = psutil.Process(pool.children("worker")["worker 1"])
    stop(first)
    tasks.quick.delay("a")
    wait_until(lambda: runs("end", "a"))
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
def test_a_pool_that_stops_listening_while_workers_sleep_misses_nothing(start_pool, drained):
    start_pool("-c", 4, *DEAF)
    wait_until(asleep)
    wait_until(crowded_out, what="listens is off")
    for _ in range(20):
        tasks.quick.delay(0)
        drained()
    wait_until(asleep, what="calm again")


@pytest.mark.postgresql
def test_without_listen_the_pool_polls(start_pool, runs):
    pool = start_pool("-c", 1, "--poll", 0.3, TASKQ_LISTEN="false")
    tasks.quick.delay("a")
    wait_until(lambda: runs("end", "a"))
    assert not asleep()
    assert pool.stop() == 0


def processes_that_looked():
    """Those whose last statement is no longer one of opening the connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'taskq %%' "
            "AND datname = current_database() AND state = 'idle' AND query LIKE '%%taskq_%%' "
            "AND query NOT LIKE '%%to_regclass%%'",
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

    def watch(began, seconds):
        """Each statement of the pool shows in the activity view with a start of its own."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid, query_start FROM pg_stat_activity "
                "WHERE application_name LIKE 'taskq %%' AND datname = current_database()",
                [],
            )
            seen.update(cursor.fetchall())
        return time.monotonic() - began > seconds

    def new_ones(seconds):
        watch(0, 0)
        before, began = len(seen), time.monotonic()
        wait_until(lambda: watch(began, seconds))
        return len(seen) - before

    wait_until(lambda: new_ones(1) <= 1, what="its start is over")
    watch(0, 0)
    before, began = len(seen), time.monotonic()
    wait_until(lambda: watch(began, 0) and len(seen) >= before + 8, what="8 statements")
    assert time.monotonic() - began >= 8 / 1.5


def test_the_supervisor_of_an_idle_pool_looks_seldom(start_pool):
    pool = start_pool("-c", 2)
    wait_until(lambda: looks_seldom(pool.pid), seconds=60)
