"""A connection that has ended while nobody looked is replaced before the next task."""

import psycopg
import pytest
from django.db import connection

from pool import clock
from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.connections import liveness
from taskq.models import Task
from taskq.worker.cleanup import Cleanup
from tests.project.lab import sessions, tasks

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def other(database_url):
    """A session of somebody else."""
    with psycopg.connect(database_url, autocommit=True) as session:
        yield session


def backend():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def end(other, backend):
    """And wait until the server has said so."""
    other.execute("SELECT pg_terminate_backend(%s, 15000)", [backend])


def test_one_that_was_ended_between_two_runs_is_replaced(other):
    ours = Cleanup()
    first = backend()
    ours.restore("a")
    assert ours.before(quick=False)
    assert backend() == first
    ours.restore("a")
    end(other, first)
    assert ours.before(quick=False)
    assert backend() != first


def test_a_look_is_good_for_a_moment_of_quick_runs_and_for_no_other(other, monkeypatch):
    at = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: at[0])
    ours = Cleanup()
    first = backend()
    ours.restore("a")
    end(other, first)
    at[0] += clock.nanoseconds(liveness.GOOD_FOR / 2)
    ours.before(quick=True)
    assert connection.connection is not None
    at[0] += clock.nanoseconds(liveness.GOOD_FOR)
    ours.before(quick=True)
    assert connection.connection is None


def test_one_that_the_task_itself_broke_is_replaced_also_where_connections_stay(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
    connection.close()
    ours = Cleanup()
    Order.objects.count()
    connection.connection.close()
    ours.restore("a")
    ours.before(quick=True)
    assert Order.objects.count() == 0


def test_a_notice_ends_no_connection(other):
    ours = Cleanup()
    first = backend()
    with connection.cursor() as cursor:
        cursor.execute("LISTEN something")
    ours.restore("a")
    other.execute("NOTIFY something")
    wait_until(lambda: ours._liveness._poll("default", connection.connection).poll(0))
    ours.before(quick=False)
    assert backend() == first
    assert [notice.channel for notice in connection.connection.notifies(timeout=0)]


def test_one_that_a_firewall_may_have_forgotten_is_replaced(monkeypatch):
    at = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: at[0])
    ours = Cleanup()
    first = backend()
    for seconds, kept in [(liveness.FORGOTTEN / 2, True), (liveness.FORGOTTEN + 1, False)]:
        ours.restore("a")
        at[0] += clock.nanoseconds(seconds)
        ours.before(quick=True)
        assert (connection.connection is not None) == kept
    assert backend() != first


@pytest.mark.parametrize("alias", ["default", "second"])
@pytest.mark.parametrize("pooled", ["", "true"], ids=["", "pooled"])
def test_the_server_ends_it_while_other_tasks_run(
    start_pool, other, runs, drained, tmp_path, alias, pooled
):
    """The pool is never idle meanwhile: then it closes what is open itself."""
    go = tmp_path / "go"
    sessions.ask_database.delay("before", alias)
    tasks.nap_until.delay("a", str(go))
    sessions.ask_database.delay("after", alias)
    pool = start_pool("-c", 1, TASKQ_TEST_SECOND="1", TASKQ_TEST_POOLED=pooled)
    (start,) = wait_until(lambda: runs("start", "a"))
    (asked,) = runs("asked", "before")
    end(other, asked["backend"])
    # The look before this run is not good enough for a quick run any more.
    wait_until(lambda: clock.now() - start["at"] > clock.nanoseconds(liveness.GOOD_FOR))
    go.touch()
    drained()
    assert not Task.objects.exists()
    assert runs("asked", "after")[0]["backend"] != asked["backend"]
    pool.wait_for_log("has ended: replaced")


@pytest.mark.parametrize("task", [sessions.ask_database, sessions.ask_database_async], ids=str)
def test_the_server_ends_one_that_stays_open_while_the_pool_is_idle(start_pool, other, runs, task):
    """CONN_MAX_AGE is None. What a coroutine asks of the ORM is asked in a thread of its own."""
    pool = start_pool("-c", 1, TASKQ_TEST_PERSISTENT="1")
    for key in ("first", "second"):
        task.delay(key)
        wait_until(lambda key=key: runs("asked", key), what=f"{key} run")
    first, second = (record["backend"] for record in runs("asked"))
    assert first == second
    end(other, first)
    # The look before the second run is good for a moment of quick runs.
    ended = clock.now()
    wait_until(lambda: clock.now() - ended > clock.nanoseconds(liveness.GOOD_FOR))
    task.delay("third")
    assert wait_until(lambda: runs("asked", "third"))[0]["backend"] != first
    # Before the run: it was not interrupted.
    wait_until(lambda: "has ended: replaced" in pool.log(), what="it is replaced")


def test_the_server_ends_idle_sessions(start_pool, other, runs, drained):
    start_pool("-c", 1)
    with other.cursor() as cursor:
        name = cursor.execute("SELECT current_database()").fetchone()[0]
        cursor.execute(f"ALTER DATABASE {name} SET idle_session_timeout = '700ms'")
    try:
        sessions.ask_database.delay("before")
        tasks.nap.delay("a", 2)
        sessions.ask_database.delay("after")
        drained()
    finally:
        other.execute(f"ALTER DATABASE {name} RESET idle_session_timeout")
    assert not Task.objects.failed().exists()
    assert len({record["backend"] for record in runs("asked")}) == 2
