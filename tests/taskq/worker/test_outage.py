"""The database goes away: all heal, nothing is lost, nothing overlaps."""

import datetime
import os
import signal
import time

import pytest

from pool import clock
from stress.checker import FinalState, judge
from stress.rig.pools import wait_until
from tests.project.lab import tasks
from tests.taskq.outages import all_done, rows, send

pytestmark = pytest.mark.postgresql

LEASE = 8
SHORT = ["--lease", f"{LEASE}", "--heartbeat", "1", "--poll", "0.5"]


def times(pool, text):
    """When the lines with this text were written to the log: Unix time."""
    lines = [line for line in pool.log().splitlines() if text in line]
    return [
        datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp() for line in lines
    ]


def test_cut_connections_do_not_harm_what_runs(url, pool_on, runs):
    pool = pool_on("-c", "2", *SHORT)
    wait_until(lambda: len(pool.children("worker")) == 2)
    send(url, tasks.nap, "a", 3)
    wait_until(lambda: runs("start", "a"))
    for _ in range(3):
        cut = rows(
            url,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name LIKE 'taskq %'",
        )
        assert cut[0][0] >= 1
        count = len(runs("end", "b"))
        send(url, tasks.quick, "b")
        wait_until(lambda count=count: len(runs("end", "b")) > count)
    wait_until(lambda: runs("end", "a"))
    wait_until(lambda: all_done(url))
    assert len(runs("start", "a")) == 1
    pool.wait_for_log("does not answer")
    pool.wait_for_log("answers again")
    assert rows(url, "SELECT count(*) FROM taskq_task WHERE losses > 0") == [(0,)]


def test_what_has_ended_in_an_outage_is_not_run_again_though_its_worker_dies_in_it(
    server, url, pool_on, runs, tmp_path
):
    go = tmp_path / "go"
    pool = pool_on("-c", "1", "--lease", "60", "--heartbeat", "1")
    wait_until(lambda: len(pool.children("worker")) == 1)
    send(url, tasks.nap_until, "a", str(go))
    (run,) = wait_until(lambda: runs("start", "a"))
    server.crash()
    go.touch()
    pool.wait_for_log("worker 1: the database does not answer")
    os.kill(run["pid"], signal.SIGKILL)
    server.start()
    wait_until(lambda: all_done(url), seconds=60)
    assert len(runs("start", "a")) == len(runs("end", "a")) == 1
    pool.wait_for_log("had finished and not written are written")


def test_an_outage_shorter_than_the_lease_harms_nothing(server, url, pool_on, runs):
    pool = pool_on("-c", "2", "--lease", "60", "--heartbeat", "1")
    wait_until(lambda: len(pool.children("worker")) == 2)
    send(url, tasks.nap, "a", 4)
    wait_until(lambda: runs("start", "a"))
    server.crash()
    server.start()
    wait_until(lambda: runs("end", "a"))
    wait_until(lambda: all_done(url))
    assert len(runs("start", "a")) == 1


def test_the_time_limit_ends_with_the_function_however_long_its_end_takes_to_write(
    server, url, pool_on, runs
):
    pool = pool_on("-c", "1", "--lease", "60", "--heartbeat", "1", "--time-limit", "6")
    wait_until(lambda: len(pool.children("worker")) == 1)
    send(url, tasks.nap_and_keep, "a", 1)
    (start,) = wait_until(lambda: runs("start", "a"))
    server.crash()
    wait_until(lambda: runs("end", "a"))
    past = start["at"] + 7 * clock.SECOND
    wait_until(lambda: clock.now() > past, what="past the time limit")
    server.start()
    wait_until(lambda: all_done(url))
    assert len(runs("start", "a")) == 1
    assert rows(url, "SELECT count(*) FROM taskq_task") == [(0,)]
    assert "time limit" not in pool.log()


def test_an_outage_longer_than_the_lease_stops_the_work_and_starts_it_again(
    server, url, pool_on, runs
):
    pools = [pool_on("-c", "2", *SHORT) for _ in range(2)]
    for pool in pools:
        wait_until(lambda pool=pool: len(pool.children("worker")) == 2)
    send(url, tasks.nap_at_first, "a", 60)
    (first,) = wait_until(lambda: runs("start", "a"))
    server.crash()
    crashed, at = clock.now(), time.time()  # until then leases may have been renewed
    # Stopped before its lease ends in the database, though nobody can be asked.
    (said,) = wait_until(lambda: [said for pool in pools for said in times(pool, "lease ran out")])
    assert said - at < LEASE
    wait_until(
        lambda: clock.now() - crashed > (LEASE + 2) * clock.SECOND, what="longer than the lease"
    )
    assert all(pool.process.poll() is None for pool in pools)
    server.start()
    wait_until(lambda: len(runs("start", "a")) == 2)
    wait_until(lambda: runs("end", "a"))
    wait_until(lambda: all_done(url))
    deaths = [
        {"kind": "kill", "victim": first["pid"], "at": crashed + LEASE * clock.SECOND, "pid": 0}
    ]
    assert not judge([*runs(), *deaths], FinalState()).violations["overlaps"]
    assert rows(url, "SELECT count(*) FROM taskq_task") == [(0,)], "nobody was to blame"
    for pool in pools:
        assert pool.stop() == 0


def test_a_pool_may_start_before_its_database(server, url, pool_on, runs):
    send(url, tasks.quick, "a")
    server.crash()
    pool = pool_on("-c", "1", *SHORT)
    wait_until(lambda: "does not answer" in pool.log())
    server.start()
    wait_until(lambda: runs("end", "a"))
    assert pool.stop() == 0


def test_a_pool_can_be_stopped_while_its_database_is_away(server, url, pool_on, runs):
    pool = pool_on("-c", "1", *SHORT, "--drain-timeout", "1")
    wait_until(lambda: len(pool.children("worker")) == 1)
    send(url, tasks.quick, "a")
    wait_until(lambda: runs("end", "a"))
    server.crash()
    try:
        assert pool.stop() == 0
    finally:
        server.start()
