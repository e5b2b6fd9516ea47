"""A clean stop: nothing more is claimed, what waits is given back, what runs is finished."""

import signal

import pytest
from django.db import connection

from stress.rig.pools import wait_until
from taskq.models import State, Task, Worker
from tests.project.lab import tasks
from tests.taskq.waking import DEAF, asleep


@pytest.fixture
def go(tmp_path):
    """The file for which a task waits."""
    return tmp_path / "go"


def test_term_finishes_what_runs_and_leaves_the_rest(start_pool, runs, go):
    pool = start_pool("-c", 1)
    tasks.nap_until.delay("running", str(go))
    wait_until(lambda: runs("start", "running"))
    tasks.nap.delay("waiting", 1)
    pool.signal(signal.SIGTERM)
    pool.wait_for_log("stopping: up to")
    go.touch()
    assert pool.wait_exit() == 0
    assert runs("end", "running")
    assert not runs("start", "waiting")
    assert Task.objects.pending().count() == Task.objects.count() == 1
    assert not Worker.objects.exists()


def test_term_gives_back_at_once_what_was_claimed_and_not_started(start_pool, runs, drained, go):
    """A batch of names known as quick, of which one takes long this time."""
    pool = start_pool("-c", 1)
    for key in range(60):
        tasks.nap_until.delay(f"warm {key}")
    drained()
    for key in range(5):
        tasks.nap_until.delay(f"quick {key}")
    tasks.nap_until.delay("long", str(go))
    for key in range(5):
        tasks.nap_until.delay(f"behind {key}")
    wait_until(lambda: runs("start", "long"))
    pool.signal(signal.SIGTERM)
    wait_until(lambda: Task.objects.pending().count() == 5, what="given back at once")
    assert not runs("end", "long")
    go.touch()
    assert pool.wait_exit() == 0
    assert runs("end", "long")
    assert set(Task.objects.values_list("losses", "isolated")) == {(0, False)}


def test_what_outlasts_the_drain_time_is_stopped_and_given_back_uncharged(start_pool, runs):
    pool = start_pool("-c", 1, "--drain-timeout", 0.5)
    tasks.nap.delay("a", 60)
    wait_until(lambda: runs("start", "a"))
    assert pool.stop() == 0
    row = Task.objects.get()
    assert (row.state, row.losses) == (State.READY, 0)
    assert not Worker.objects.exists()


def test_a_second_int_stops_now_and_releases_the_leases(start_pool, runs):
    pool = start_pool("-c", 1, "--drain-timeout", 300)
    tasks.nap.delay("a", 600)
    wait_until(lambda: runs("start", "a"))
    pool.signal(signal.SIGINT)
    pool.wait_for_log("stopping: up to")
    pool.signal(signal.SIGINT)
    assert pool.wait_exit() == 0
    assert Task.objects.get().state == State.READY
    assert not Worker.objects.exists()


def test_quit_stops_now(start_pool, runs):
    pool = start_pool("-c", 2, "--drain-timeout", 300)
    tasks.nap.delay("a", 600)
    wait_until(lambda: runs("start", "a"))
    pool.signal(signal.SIGQUIT)
    assert pool.wait_exit() == 0
    assert Task.objects.get().state == State.READY


def test_on_lost_fail_is_held_when_it_outlasts_the_drain_time(start_pool, runs):
    pool = start_pool("-c", 1, "--drain-timeout", 0.2)
    tasks.nap_once.delay("a", 60)
    wait_until(lambda: runs("start", "a"))
    assert pool.stop() == 0
    assert Task.objects.failed().get().error == "stopped while at work"


def test_hup_replaces_the_workers_without_dropping_work(start_pool, runs, drained):
    pool = start_pool("-c", 3)
    tasks.nap.delay("a", 1)
    wait_until(lambda: runs("start", "a"))
    before = set(pool.children("worker").values())
    pool.signal(signal.SIGHUP)
    wait_until(lambda: not before & set(pool.children("worker").values()))
    drained()
    assert len(runs("start", "a")) == len(runs("end", "a")) == 1


@pytest.mark.postgresql
@pytest.mark.parametrize("cut", [False, True], ids=["", "connection-cut"])
def test_what_is_given_back_starts_at_once_elsewhere(start_pool, runs, drained, cut):
    """No poll is near, and the worker that held it is at its long run until the end."""
    start_pool("-c", 2, *DEAF)
    for key in range(100):  # so that the name is known to be quick
        tasks.nap.delay(key, 0)
    drained()
    wait_until(asleep)
    tasks.nap.delay_many([("long", 300), *((f"behind {key}", 0) for key in range(20))])
    wait_until(lambda: runs("start", "long"))
    if cut:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name LIKE 'taskq worker%%' AND datname = current_database()",
                [],
            )
    wait_until(lambda: all(runs("start", f"behind {key}") for key in range(20)))
    assert not runs("end", "long")


def test_a_waiting_task_is_not_held_up_behind_a_long_one(start_pool, runs, drained):
    """Claimed together as quick, but the first takes long: another worker gets the rest."""
    start_pool("-c", 2)
    for key in range(100):
        tasks.nap.delay(f"warm {key}", 0)
    drained()
    tasks.nap.delay_many([("long", 300), *((f"behind {key}", 0) for key in range(20))])
    wait_until(lambda: len([r for r in runs("end") if str(r["key"]).startswith("behind")]) == 20)
    assert not runs("end", "long")
