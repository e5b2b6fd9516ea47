"""/live and /ready of real pools that start, freeze, crash, drain, and lose their database."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from django.db import connection

from stress.rig.pools import wait_until
from tests.conftest import PoolUnderTest
from tests.project.lab import tasks
from tests.taskq.metrics.scraping import probe

pytestmark = pytest.mark.django_db(transaction=True)
#: A keeper that is frozen is replaced after 2.7 seconds.
QUICK = ("--metrics-port", 0, "--lease", 6, "--heartbeat", 1)


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def says(pool: PoolUnderTest, path: str, problem: str) -> bool:
    status, said = probe(pool, path)
    assert (status == 200) == said["ok"] == (not said["problems"])
    return any(problem in each for each in said["problems"])


def well(pool: PoolUnderTest) -> bool:
    return probe(pool, "live")[0] == probe(pool, "ready")[0] == 200


def test_a_pool_that_is_up_lives_and_is_ready(start_pool):
    pool = start_pool("-c", 2, *QUICK)
    wait_until(lambda: well(pool))
    assert probe(pool, "live") == (200, {"ok": True, "problems": []})
    status, said = probe(pool, "ready")
    assert (status, said["workers"]) == (200, 2)
    assert 1 <= said["workers_ready"] <= 2


def test_a_frozen_keeper_is_seen_at_once_and_is_well_again_when_it_is_replaced(start_pool):
    pool = start_pool("-c", 1, "--metrics-port", 0, "--lease", 24, "--heartbeat", 3)
    wait_until(lambda: well(pool))
    keeper = pool.children("keeper")["keeper"]
    with frozen(keeper):  # it is replaced after 10 seconds
        wait_until(lambda: says(pool, "live", "the keeper is stopped"))
        assert says(pool, "ready", "the keeper is stopped")
        wait_until(lambda: pool.children("keeper").get("keeper", keeper) != keeper)
    wait_until(lambda: well(pool))


def test_a_frozen_supervisor_does_not_live(start_pool):
    pool = start_pool("-c", 1, *QUICK)
    wait_until(lambda: well(pool))
    with frozen(pool.pid):
        wait_until(lambda: says(pool, "live", "the supervisor is stopped"))
    wait_until(lambda: well(pool))


def test_a_pool_whose_workers_are_all_frozen_lives_and_is_not_ready(start_pool):
    pool = start_pool("-c", 2, *QUICK)
    wait_until(lambda: well(pool))
    first, second = pool.children("worker").values()
    with frozen(first):
        wait_until(lambda: probe(pool, "ready")[1]["workers_ready"] == 1)
        assert probe(pool, "ready")[0] == 200
        with frozen(second):
            wait_until(lambda: says(pool, "ready", "no worker is ready: 2 stopped"))
            assert probe(pool, "live")[0] == 200
    wait_until(lambda: well(pool))


def test_a_pool_whose_workers_crash_at_start_lives_and_is_not_ready(start_pool, tmp_path):
    flag = tmp_path / "broken"
    pool = start_pool("-c", 1, *QUICK, STRESS_BREAK_FLAG=str(flag))
    wait_until(lambda: well(pool))
    flag.touch()
    (worker,) = pool.children("worker").values()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: "keeps dying at start" in pool.log())
    wait_until(lambda: says(pool, "ready", "no worker is ready"))
    assert probe(pool, "live")[0] == 200
    flag.unlink()
    wait_until(lambda: well(pool))


def test_a_pool_that_drains_is_not_ready_and_still_answers(start_pool, runs, tmp_path):
    go = tmp_path / "go"
    pool = start_pool("-c", 1, *QUICK)
    wait_until(lambda: well(pool))
    tasks.nap_until.delay("a", str(go))
    wait_until(lambda: runs("start", "a"))
    pool.process.terminate()
    wait_until(lambda: says(pool, "ready", "no worker is ready: 1 ending"))
    assert probe(pool, "live")[0] == 200
    go.touch()
    assert pool.wait_exit() == 0


@pytest.mark.postgresql
def test_a_database_that_is_away_makes_a_pool_unready_and_not_dead(start_pool, far_away):
    proxy, url = far_away
    pool = start_pool("-c", 1, *QUICK, DATABASE_URL=url)
    wait_until(lambda: well(pool))
    proxy.refuse()
    wait_until(lambda: says(pool, "ready", "the database does not answer"))
    assert probe(pool, "live")[0] == 200
    proxy.forward()
    wait_until(lambda: well(pool))


def test_tables_that_are_missing_make_a_pool_unready_until_they_are_there(start_pool):
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {quote('taskq_recentrun')} RENAME TO elsewhere")
    try:
        pool = start_pool("-c", 1, *QUICK, ready=False)
        wait_until(lambda: "metrics " in pool.log())
        wait_until(lambda: says(pool, "ready", "run manage.py migrate"))
        pool.wait_for_log("run manage.py migrate")
        assert probe(pool, "live")[0] == 200
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE elsewhere RENAME TO {quote('taskq_recentrun')}")
    wait_until(lambda: well(pool))
