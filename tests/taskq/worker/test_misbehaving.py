"""Tasks that misbehave without dying: the worker is sound for the next one."""

import os
import signal
import threading

import pytest
from django.db import connection, connections

from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.connections.restoring import restore_connections
from taskq.exceptions import SoftTimeLimitExceeded
from taskq.models import Task
from taskq.worker import cleanup
from taskq.worker.cleanup import Cleanup
from tests.project.lab import leftovers, sessions, tasks
from tests.taskq.sleepers import alarm_while_the_server_sleeps, sleepers

SUCCEED = [
    "close_connection",
    "break_session",
    "open_transaction",
    "signal_handlers",
    "block_signals",
    "fork_and_return",
    "leave_child",
    "terminate_child",
    "fill_stdout",
    "change_directory",
]
FAIL = {
    "system_exit": "SystemExit: 3",
    "keyboard_interrupt": "KeyboardInterrupt",
    "recursion": "RecursionError",
    "huge_error": "ValueError: xxx",
    "strange_text": "ValueError: nul \\x00 and surrogate \\ud800",
    "unprintable_error": "Unprintable: <exception str() failed>",
}


def test_misbehaving_tasks_end_like_any_other_and_harm_no_later_one(start_pool, runs, drained):
    pool = start_pool("-c", 1)
    (worker,) = pool.children("worker").values()
    for how in [*SUCCEED, *FAIL]:
        leftovers.misbehave.delay(how, how)
        tasks.nap.delay(f"after {how}", 0)
    drained()
    ended = [record["key"] for record in runs("end")]
    for how in [*SUCCEED, *FAIL]:
        assert f"after {how}" in ended, how
    for how in SUCCEED:
        assert how in ended
    errors = {row.payload.split('"')[1]: row.error for row in Task.objects.failed()}
    assert set(errors) == set(FAIL)
    for how, error in FAIL.items():
        assert error in errors[how]
        assert len(errors[how]) < 10_000
    # All of it in one and the same worker, which nothing has killed.
    assert set(pool.children("worker").values()) == {worker}
    assert {record["pid"] for record in runs("start") if record["key"] != "x"} == {worker}
    assert not Order.objects.exists(), "the transaction left open was rolled back"


@pytest.mark.sqlite  # to run it on one is enough
def test_coroutines_run(start_pool, runs, drained):
    start_pool("-c", 1)
    tasks.doze.delay("a", 0.01)
    tasks.doze.delay("b", 0.01)
    drained()
    assert not Task.objects.exists()
    assert len(runs("end")) == 2


def test_retries_run_and_then_fail(start_pool, runs, drained):
    start_pool("-c", 1)
    tasks.fail_and_retry.delay("auto")
    tasks.retry_until.delay("by hand", 2)
    drained()
    assert len(runs("start", "auto")) == 3
    assert len(runs("start", "by hand")) == 3
    row = Task.objects.failed().get()
    assert (row.retries, row.error) == (2, "ValueError: again")
    assert 'raise ValueError("again")' in row.traceback


@pytest.mark.sqlite  # to run it on one is enough
def test_memory_error_fails_the_task_and_renews_the_worker(start_pool, runs, drained):
    """Where no cgroup limits a worker's memory, RLIMIT_AS may."""
    pool = start_pool("-c", 1)
    (worker,) = pool.children("worker").values()
    import resource

    resource.prlimit(worker, resource.RLIMIT_AS, (2**29, 2**29))
    leftovers.eat_memory.delay("a", 2000)
    drained()
    row = Task.objects.failed().get()
    assert row.error.startswith("MemoryError")
    wait_until(lambda: worker not in pool.children("worker").values(), what="a fresh worker")
    tasks.quick.delay("after")
    wait_until(lambda: runs("end", "after"))
    assert os.path.exists(f"/proc/{pool.pid}")


def test_a_transaction_left_open_is_rolled_back_before_the_outcome_is_written(
    start_pool, runs, drained
):
    """On SQLite it holds the one write lock: the worker would wait for itself."""
    start_pool("-c", 1, "--lease", 8, "--heartbeat", 1)
    tasks.count_orders.delay("before")  # on PostgreSQL its connection stays open
    leftovers.misbehave.delay("a", "open_transaction")
    tasks.count_orders.delay("after")  # in a transaction of its own, which sees none
    drained()
    assert [record["count"] for record in runs("seen", "after")] == [0]
    assert len(runs("start", "a")) == 1
    assert not Order.objects.exists()


@pytest.mark.sqlite  # to run it on one is enough
def test_language_and_time_zone_of_a_task_are_its_own(start_pool, runs):
    start_pool("-c", 1)
    for key in ("a", "b"):
        leftovers.speak.delay(key, "fr")
    before, after = wait_until(lambda: len(runs("spoke")) == 2 and runs("spoke"))
    assert (before["language"], before["zone"]) == (after["language"], after["zone"])
    assert before["language"] != "fr"


@pytest.mark.sqlite  # to run it on one is enough
def test_the_caches_of_a_worker_last_as_long_as_it_does(start_pool, runs):
    """Django keeps them as it keeps the language, and in each is a connection. Its checks use
    all of them, before there is any worker."""
    start_pool("-c", 1, "--skip-checks")
    for key in range(3):
        leftovers.use_cache.delay(key)
    wait_until(lambda: len(runs("cached")) == 3)
    assert [record["times"] for record in runs("cached")] == [1, 2, 3]


def test_a_directory_that_may_not_be_entered_costs_nobody_his_worker(monkeypatch):
    monkeypatch.setattr(cleanup, "_opened", lambda path: None)
    Cleanup().restore()


@pytest.mark.django_db(transaction=True)
def test_the_working_directory_is_found_again_whatever_became_of_its_name(tmp_path, monkeypatch):
    site, old = tmp_path / "site", tmp_path / "site.old"
    site.mkdir()
    monkeypatch.chdir(site)
    ours = Cleanup()
    site.rename(old)
    site.mkdir()  # the next release
    os.chdir("/")
    ours.restore()
    assert os.path.samefile(".", old)
    old.rmdir()
    os.chdir("/")
    ours.restore()
    with pytest.raises(FileNotFoundError):
        os.getcwd()


@pytest.mark.django_db(transaction=True)
def test_an_atomic_task_whose_callback_fails_is_done_all_the_same(start_pool, runs):
    pool = start_pool("-c", 1)
    result = sessions.commit_and_call.delay("a")
    assert result.get(timeout=60) == "committed"
    pool.wait_for_log("is done, and a callback of its on_commit() failed: ZeroDivisionError")
    assert Order.objects.count() == len(runs("start", "a")) == 1
    assert "no longer held by this worker" not in pool.log()
    assert pool.stop() == 0


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_query_that_a_soft_limit_broke_off_harms_no_later_task():
    ours = Cleanup()

    def limit(number, frame):
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGALRM, limit)
    alarm = threading.Thread(target=alarm_while_the_server_sleeps)
    alarm.start()
    try:
        with pytest.raises(SoftTimeLimitExceeded), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(120)")
    finally:
        alarm.join()
        signal.signal(signal.SIGALRM, before)
    ours.restore()
    wait_until(lambda: not sleepers(), what="the server works no more for nobody")


def test_a_database_that_nobody_here_can_open_does_not_break_the_worker(monkeypatch):
    """Another context's, whose driver is not installed: no task can have opened it."""
    other = {**connections.settings["default"], "ENGINE": "no.such.backend"}
    monkeypatch.setitem(connections.settings, "other", other)
    Cleanup().restore()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_interrupted_as_a_transaction_begins_the_next_task_writes_in_none_of_its_own():
    """Django has told the driver, and does not know it."""
    connection.ensure_connection()
    connection.connection.autocommit = False
    restore_connections()
    Order.objects.create(number=1)
    connection.close()
    assert Order.objects.exists()
