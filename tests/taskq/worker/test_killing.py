"""Processes are killed and frozen; nothing is lost and nothing overlaps."""

import contextlib
import os
import signal
from datetime import timedelta

import psutil
import pytest
from django.db import connection, transaction
from django.utils import timezone

from pool import clock
from pool.supervisor import TICK
from stress.rig.pools import is_gone, wait_until
from taskq.models import State, Task, Worker
from tests.conftest import SLACK
from tests.project.lab import tasks

SHORT = ("--lease", "6", "--heartbeat", "1", "--poll", "0.5")
LEASE, HEARTBEAT = 6, 1


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)
    return clock.now()


def freeze(pool):
    """SIGSTOP to all of a pool, as a paused virtual machine."""
    processes = [psutil.Process(pool.pid), *pool.descendants()]
    for process in processes:
        process.suspend()
    return processes


def test_a_killed_workers_task_starts_again_within_half_a_second(start_pool, runs):
    pool = start_pool("-c", 2)
    seconds, plain = [], []
    for key in range(5):
        pool.wait_ready(2)  # who takes over is there: to fork another is not what is measured
        sent = clock.now()
        tasks.nap_at_first.delay(key, 60)
        (start,) = wait_until(lambda key=key: runs("start", key))
        plain.append((start["at"] - sent) / clock.SECOND)
        killed = kill(start["pid"])
        wait_until(lambda key=key: len(runs("start", key)) == 2)
        seconds.append((runs("start", key)[1]["at"] - killed) / clock.SECOND)
        wait_until(lambda key=key: runs("end", key))
    # So nothing is waited for. On a machine that is busy a task that is sent starts later, too.
    assert min(seconds) < max(0.5, 20 * min(plain))
    assert max(seconds) < SLACK  # and no lease
    pool.wait_for_log("killed by SIGKILL while running tests.project.lab.tasks.nap_at_first")
    pool.wait_for_log("lost its worker")


@pytest.mark.postgresql
def test_who_cannot_be_buried_costs_the_living_no_lease(start_pool, runs):
    """The tasks are locked, as by CREATE INDEX: leases are in another table."""
    pool = start_pool("-c", 2, "--lease", 6, "--heartbeat", 1)
    for key in "ab":
        tasks.nap_at_first.delay(key, 12)
    _, dead = (wait_until(lambda key=key: runs("start", key))[0]["pid"] for key in "ab")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE taskq_task IN SHARE MODE")
        killed = kill(dead)
        wait_until(lambda: clock.now() - killed > 9 * clock.SECOND, what="longer than leases last")
    wait_until(lambda: runs("end", "a") and runs("end", "b"))
    assert len(runs("start", "a")) == 1
    assert pool.stop() == 0


def test_a_killed_workers_task_is_charged_one_loss_with_its_cause(start_pool, runs):
    pool = start_pool("-c", 1)
    pk = tasks.nap.delay("a", 60).id.int
    kill(wait_until(lambda: runs("start", "a"))[0]["pid"])
    wait_until(lambda: len(runs("start", "a")) == 2)
    row = Task.objects.get(pk=pk)
    assert (row.losses, row.error, row.isolated) == (1, "killed by SIGKILL", True)
    pool.signal(signal.SIGQUIT)
    assert pool.wait_exit() == 0


def test_the_neighbors_of_a_killed_task_are_given_back_uncharged(start_pool, runs, drained):
    start_pool("-c", 1)
    for key in range(50):
        tasks.quick.delay(f"warm {key}")
    drained()
    # Known as quick by now: claimed together, and one of them turns out to kill.
    with_killer = [f"neighbor {n}" for n in range(30)]
    for key in with_killer[:15]:
        tasks.quick.delay(key)
    tasks.exit_hard.delay("killer", 9)
    for key in with_killer[15:]:
        tasks.quick.delay(key)
    drained()
    assert {record["key"] for record in runs("end")} >= set(with_killer)
    (failed,) = Task.objects.failed()
    assert (failed.losses, failed.error) == (3, "exit code 9")


@pytest.mark.parametrize(
    ("task", "args", "cause"),
    [
        (tasks.exit_hard, (7,), "exit code 7"),
        (tasks.exit_hard, (0,), "exit code 0"),
        (tasks.kill_self, (signal.SIGSEGV,), "killed by SIGSEGV"),
        (tasks.kill_self, (signal.SIGABRT,), "killed by SIGABRT"),
        (tasks.kill_self, (signal.SIGKILL,), "killed by SIGKILL"),
        (tasks.overflow_stack, (), "killed by SIGSEGV"),
    ],
    ids=["exit", "exit well", "segfault", "abort", "kill", "stack"],
)
def test_a_task_that_kills_its_worker_fails_with_its_cause_after_three_losses(
    start_pool, runs, drained, task, args, cause
):
    start_pool("-c", 4)
    pk = task.delay("poison", *args).id.int
    for key in range(100):
        tasks.quick.delay(f"innocent {key}")
    drained()
    poison = Task.objects.get()
    assert (poison.pk, poison.state, poison.losses) == (pk, State.FAILED, 3)
    assert poison.error == cause
    assert len(runs("start", "poison")) == 3
    ended = [record["key"] for record in runs("end")]
    assert sorted(ended) == sorted(f"innocent {key}" for key in range(100))


def test_on_lost_fail_is_held_for_a_person_and_never_run_twice(start_pool, runs, drained):
    start_pool("-c", 2)
    tasks.nap_once.delay("once", 60)
    kill(wait_until(lambda: runs("start", "once"))[0]["pid"])
    drained()
    row = Task.objects.failed().get()
    assert row.error == "killed by SIGKILL"
    assert len(runs("start", "once")) == 1


@pytest.fixture
def pool_at_work(start_pool, runs):
    """The one of two pools that has taken task "a", with a run that does not end by itself.

    The other is up as well: how long it takes to start is no part of what a test measures.
    """
    pools = {pool.pid: pool for pool in [start_pool("-c", 2, *SHORT) for _ in range(2)]}
    tasks.nap_at_first.delay("a", 60)
    (start,) = wait_until(lambda: runs("start", "a"))
    return pools[start["parent"]]


def test_all_children_go_with_their_supervisor_and_the_work_is_reclaimed(pool_at_work, runs):
    children = pool_at_work.descendants()
    assert len(children) == 3
    killed = kill(pool_at_work.pid)
    wait_until(lambda: all(map(is_gone, children)), what="no child is left")
    wait_until(lambda: len(runs("start", "a")) == 2)
    waited = (runs("start", "a")[1]["at"] - killed) / clock.SECOND
    # The lease, and one interval of whoever reclaims.
    assert 1 < waited < LEASE + HEARTBEAT + SLACK
    wait_until(lambda: runs("end", "a"))


def test_a_lost_hosts_task_is_taken_over_by_another_pool(pool_at_work, runs):
    killed = clock.now()
    pool_at_work.kill_all()
    wait_until(lambda: len(runs("start", "a")) == 2)
    assert (runs("start", "a")[1]["at"] - killed) / clock.SECOND < LEASE + HEARTBEAT + SLACK
    wait_until(lambda: runs("end", "a"))


def test_a_killed_keeper_is_replaced_before_any_lease_ends(start_pool, runs):
    pool = start_pool("-c", 2, "--lease", "12", "--heartbeat", "1")
    tasks.nap.delay("a", 5)
    (start,) = wait_until(lambda: runs("start", "a"))
    renewals = Worker.objects.filter(pid=start["pid"]).values_list("lease_expires_at", flat=True)
    before = pool.children("worker")
    for _ in range(5):
        keeper = pool.children("keeper")["keeper"]
        kill(keeper)
        last = renewals.get()
        wait_until(lambda keeper=keeper: pool.children("keeper").get("keeper", keeper) != keeper)
        # Not killed before: five that renew nothing would be too many for any lease.
        wait_until(lambda last=last: renewals.get() > last, what="the new keeper is at work")
    wait_until(lambda: runs("end", "a"))
    assert pool.children("worker") == before
    assert len(runs("start", "a")) == 1


@pytest.mark.postgresql  # to run it on one is enough
def test_a_frozen_keeper_is_replaced_before_any_lease_ends(start_pool, runs):
    pool = start_pool("-c", 1, "--lease", "12", "--heartbeat", "1")
    tasks.nap.delay("a", 8)
    wait_until(lambda: runs("start", "a"))
    keeper = pool.children("keeper")["keeper"]
    kill(keeper, signal.SIGSTOP)
    wait_until(lambda: runs("end", "a"))
    wait_until(lambda: pool.children("keeper").get("keeper", keeper) != keeper)
    assert len(runs("start", "a")) == 1


def test_a_frozen_worker_is_killed_and_its_task_taken_over(start_pool, runs):
    pool = start_pool("-c", 2, *SHORT)
    tasks.nap_at_first.delay("a", 60)
    (start,) = wait_until(lambda: runs("start", "a"))
    kill(start["pid"], signal.SIGSTOP)
    wait_until(lambda: runs("end", "a"))
    assert runs("end", "a")[0]["pid"] != start["pid"]
    assert not psutil.pid_exists(start["pid"])
    pool.wait_for_log("lease ran out unrenewed")
    wait_until(lambda: not Task.objects.exists())


def test_a_keeper_gives_nobody_the_task_of_a_worker_of_its_own_that_lives(start_pool, runs):
    """The lease is lost while the supervisor is frozen, which would stop the worker."""
    pool = start_pool("-c", 2, *SHORT)
    tasks.nap.delay("a", 60)
    (first,) = wait_until(lambda: runs("start", "a"))
    kill(pool.pid, signal.SIGSTOP)
    lease = Task.objects.get().worker_id
    Worker.objects.filter(pk=lease).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    renewals = Worker.objects.filter(name="keeper").values_list("lease_expires_at", flat=True)
    for _ in range(3):
        last = renewals.get()
        wait_until(lambda last=last: renewals.get() > last, what="the keeper has gone round")
    assert runs("start", "a") == [first]
    kill(pool.pid, signal.SIGCONT)
    wait_until(lambda: len(runs("start", "a")) == 2)
    assert not psutil.pid_exists(first["pid"])


def test_a_woken_pool_stops_within_a_tick_and_its_late_finish_touches_no_row(start_pool, runs):
    frozen = start_pool("-c", 1, *SHORT)
    tasks.nap_at_first.delay("a", 12, then=20)
    (first,) = wait_until(lambda: runs("start", "a"))
    processes = freeze(frozen)
    other = start_pool("-c", 1, *SHORT)
    second = wait_until(lambda: len(runs("start", "a")) == 2 and runs("start", "a")[1])
    # Twice the lease. The frozen one's sleep is over as well: it would finish at once,
    # while the other is in the middle of it.
    wait_until(lambda: clock.now() - first["at"] > 12.2 * clock.SECOND)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # its supervisor was quicker
            process.resume()
    woken = clock.now()
    # Its run may be over before its supervisor gets to it.
    wait_until(
        lambda: (
            not psutil.pid_exists(first["pid"])
            or "is no longer held by this worker" in frozen.log()
        ),
        what="the woken worker is stopped, or has seen that it is late",
    )
    row = Task.objects.get()
    assert (row.state, row.attempt, row.worker.pid) == (State.RUNNING, 2, second["pid"])
    wait_until(lambda: not Task.objects.exists())
    assert second["pid"] in [record["pid"] for record in runs("end", "a")]
    late = [record["at"] - woken for record in runs() if record["pid"] == first["pid"]]
    assert max(late) / clock.SECOND < TICK + SLACK
    # Both go on as before.
    assert other.stop() == 0
    frozen.wait_ready(1)
    tasks.quick.delay("after")
    wait_until(lambda: runs("end", "after"))


@pytest.mark.postgresql  # to run it on one is enough
def test_a_task_that_holds_the_gil_for_three_leases_runs_once(start_pool, runs):
    start_pool("-c", 1, "--lease", "5", "--heartbeat", "0.5")
    start_pool("-c", 1, "--lease", "5", "--heartbeat", "0.5")
    tasks.hold_gil.delay("a", 15)
    wait_until(lambda: runs("end", "a"))
    assert len(runs("start", "a")) == 1
    wait_until(lambda: not Task.objects.exists())


def test_two_pools_reclaiming_at_once_take_each_task_back_once(start_pool, runs, drained):
    lost = start_pool("-c", 8, *SHORT)
    for key in range(8):
        tasks.nap_at_first.delay(key, 60, then=1)
    wait_until(lambda: len(runs("start")) == 8)
    for _ in range(3):
        start_pool("-c", 2, *SHORT)
    lost.kill_all()
    drained()
    starts = [record["key"] for record in runs("start")]
    assert sorted(starts) == sorted([*range(8), *range(8)])
