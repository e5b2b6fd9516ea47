"""What a pool does before it forks, and signals that come before there is a pool."""

import signal
import subprocess
import threading

import pytest
from django.core.cache import cache
from django.db import connections

from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq import signals
from taskq.conf import Settings
from taskq.management import before_fork
from taskq.management.before_fork import STEPS
from taskq.models import Task
from taskq.pool_context import PoolContext
from taskq.task.queues import Queues
from tests.project.lab import sessions, tasks


@pytest.fixture
def context(transactional_db):
    return PoolContext(settings=Settings(), queues=Queues(), alias="default")


def open_connection(monkeypatch, log):
    Order.objects.count()
    yield
    assert connections["default"].connection is None


def open_cache(monkeypatch, log):
    closed = []
    cache.set("a", 1)
    monkeypatch.setattr(type(cache._connections["default"]), "close", lambda self: closed.append(1))
    yield
    assert closed


def start_thread(monkeypatch, log):
    ended = threading.Event()
    threading.Thread(target=ended.wait, name="a thread of the site", daemon=True).start()
    yield
    ended.set()
    (record,) = [each for each in log.records if each.event == "pool.threads"]
    assert record.levelname == "WARNING"
    assert "a thread of the site" in record.fields["threads"]


def load_nothing(monkeypatch, log):
    loaded = []
    monkeypatch.setattr(before_fork.sql, "load", loaded.append)
    yield
    assert loaded == [connections["default"].vendor]


def hear_of_the_start(monkeypatch, log):
    heard = []

    def hear(sender, pool, **_):
        heard.append(pool)

    signals.pool_starting.connect(hear)
    yield
    signals.pool_starting.disconnect(hear)
    assert len(heard) == 1


def freeze_nothing(monkeypatch, log):
    frozen = []
    monkeypatch.setattr(before_fork.gc, "freeze", lambda: frozen.append(True))
    yield
    assert frozen


CASES = {
    before_fork.load_what_all_use: load_nothing,
    before_fork.tell_that_a_pool_starts: hear_of_the_start,
    before_fork.close_connections: open_connection,
    before_fork.close_caches: open_cache,
    before_fork.tell_of_threads: start_thread,
    before_fork.leave_to_children: freeze_nothing,
}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_each_step_is_taken(step, context, monkeypatch, caplog):
    if step is not before_fork.leave_to_children:
        monkeypatch.setattr(before_fork.gc, "freeze", lambda: None)
    case = CASES[step](monkeypatch, caplog)
    next(case)
    before_fork.get_ready(context)
    assert next(case, "over") == "over"


@pytest.mark.postgresql
@pytest.mark.parametrize("pooled", ["true", '{"min_size": 1, "max_size": 2}'])
def test_psycopgs_pool_is_closed_before_the_fork_and_works_after_it(
    start_pool, runs, drained, pooled
):
    """A pool for each process, as ready() has used the one of the supervisor."""
    pool = start_pool(
        "-c", 3, TASKQ_TEST_POOLED=pooled, TASKQ_TEST_SECOND="1", TASKQ_TEST_READY="reads"
    )  # fmt: skip
    for key in range(60):
        sessions.ask_database.delay(key, "second" if key % 2 else "default")
        tasks.nap.delay(key, 0.01)
    drained()
    assert not Task.objects.exists()
    users = {}
    for record in runs("asked"):
        users.setdefault(record["backend"], set()).add(record["pid"])
    assert all(len(pids) == 1 for pids in users.values())
    assert "threads that run now" not in pool.log()
    assert pool.stop() == 0


@pytest.mark.sqlite  # to run it on one is enough
def test_threads_of_the_site_are_named_at_the_start(start_pool):
    pool = start_pool("-c", 1, TASKQ_TEST_READY="has_thread logs_by_thread")
    (line,) = [line for line in pool.log().splitlines() if "threads that run now" in line]
    assert "lock holder" in line
    assert "(_monitor)" in line
    assert "worker_started" in line


@pytest.mark.sqlite  # to run it on one is enough
def test_a_log_by_a_thread_has_the_lines_of_all_processes(start_pool):
    """As the page shows it: the thread is started in each of them."""
    pool = start_pool("-c", 1, TASKQ_TEST_READY="logs_by_thread")
    tasks.fail.delay("a", "said by the worker")
    pool.wait_for_log("said by the worker")
    tasks.exit_hard.delay("b", 7)
    pool.wait_for_log("lost its worker")  # said by the keeper


@pytest.mark.sqlite  # to run it on one is enough
def test_nothing_is_said_where_there_are_none(start_pool):
    assert "threads that run now" not in start_pool("-c", 1).log()


@pytest.mark.sqlite  # to run it on one is enough
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_while_the_site_is_loaded_ends_the_start(start_pool, number):
    pool = start_pool("-c", 1, ready=False, TASKQ_TEST_READY="sleeps")
    pool.wait_for_log("ready() sleeps")
    pool.signal(number)
    assert pool.wait_exit() == 0
    assert "Traceback" not in pool.log()


@pytest.mark.sqlite  # to run it on one is enough
def test_a_stop_that_the_sites_code_swallows_is_acted_on_later(start_pool):
    pool = start_pool("-c", 1, ready=False, TASKQ_TEST_READY="swallows")
    pool.wait_for_log("ready() sleeps")
    pool.signal(signal.SIGTERM)
    pool.wait_for_log("ready() goes on")
    assert pool.wait_exit() == 0
    pool.wait_for_log("pool stopped")


@pytest.mark.sqlite  # to run it on one is enough
def test_others_while_the_site_is_loaded_do_not_end_it(start_pool):
    pool = start_pool("-c", 1, ready=False, TASKQ_TEST_READY="swallows")
    pool.wait_for_log("ready() sleeps")
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN):
        pool.signal(number)
    pool.signal(signal.SIGTERM)
    assert pool.wait_exit() == 0


@pytest.mark.sqlite  # to run it on one is enough
def test_a_term_right_after_the_banner_is_a_clean_stop(start_pool):
    for _ in range(3):
        pool = start_pool("-c", 1, ready=False)
        pool.wait_for_log("taskq pool ")
        pool.signal(signal.SIGTERM)
        assert pool.wait_exit() == 0


@pytest.mark.sqlite  # to run it on one is enough
def test_process_1_hears_a_term_while_the_site_is_loaded(start_pool):
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs the right to make a PID namespace")
    pool = start_pool("-c", 1, ready=False, prefix=unshare, TASKQ_TEST_READY="sleeps")
    pool.wait_for_log("ready() sleeps")
    (first,) = wait_until(lambda: pool.descendants())
    first.terminate()
    assert pool.wait_exit() == 0
