"""The scenarios: each leads a pool to the point where one protection matters.

None of them knows whether the protection is in. With it the verdict must be clean. Without
it the verdict must name what the protection prevents.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
from django.db import connections

from pool import clock
from stress.prove.bench import FENCED, Bench
from stress.prove.held_up import claims_held_up, ends_held_up, held_up, someone_waits_for_a_row
from stress.rig.pools import Pool, wait_until
from stress.rig.snapshot import Snapshot
from taskq import pausing
from taskq.models import Schedule, Task, Worker

#: Seconds of a lease that must not run out, and of waits that must hold on a busy machine.
LONG = 60.0


def late_finish(bench: Bench) -> None:
    """A pool is frozen for longer than its lease, and another takes over its task.

    When it wakes its run ends. Then the worker of the other pool is killed."""
    _late_finish(bench, bench.send("slow", 3.0))


def late_result(bench: Bench) -> None:
    """The same with a task that keeps its result."""
    _late_finish(bench, bench.send("kept", 3.0, 0))


def late_archived(bench: Bench) -> None:
    """The same with a task that is kept when it is done."""
    _late_finish(bench, bench.send("archived", 3.0, 0))


def late_part(bench: Bench) -> None:
    """The same with a part for which a step waits. The worker of the other pool is not killed."""
    part, _ = bench.send_workflow(["step-long"], "step")
    _late_finish(bench, part, kill=False)


def _late_finish(bench: Bench, key: str, *, kill: bool = True) -> None:
    frozen = bench.start_pool()
    first = bench.started(key)
    victims = bench.freeze(frozen)
    bench.start_pool()
    second = bench.started(key, 2)
    bench.passed(3.1, since=bench.records("start", key)[0]["at"])
    bench.history.record("thaw", victims=victims)
    # Wake the worker first, before the supervisor can stop it.
    for pid in sorted(victims, key=lambda pid: pid != first):
        os.kill(pid, signal.SIGCONT)
        if pid == first:
            bench.ended(key)
            wait_until(lambda: FENCED in frozen.log() or not Task.objects.exists())
    if kill:
        bench.kill(second)
    bench.settle()


def kept_results(bench: Bench) -> None:
    """Tasks that keep their results run without a fault."""
    bench.start_pool()
    bench.send_all(["kept", "kept-atomic"])
    bench.settle()


def kept_tasks(bench: Bench) -> None:
    """Tasks that are kept when they are done run without a fault."""
    bench.start_pool()
    bench.send_all(["archived", "archived-atomic", "archived-kept"])
    bench.send_workflow(["step-archived"], "step")
    bench.settle()


def cut_off(bench: Bench) -> None:
    """A pool loses its network in the middle of a run, for longer than its lease."""
    network = bench.start_proxy()
    alone = bench.start_pool(proxy=network)
    key = bench.send("slow", 4.0)
    first = bench.started(key)
    with bench.fault("cut-off", alone, "cut"):
        network.hold()
        bench.start_pool()
        bench.started(key, 2)
        bench.ended_or_gone(key, first)
        network.forward()
    bench.settle()


def death_in_a_claim(bench: Bench) -> None:
    """A worker dies while its claim runs, and is retired before the claim ends."""
    pool = bench.start_pool(lease=6.0)
    url = bench.database.url
    with claims_held_up(url):
        bench.send("fast")
        wait_until(lambda: held_up(url), what="a claim in progress")
        (worker,) = pool.children("worker").values()
        bench.kill(worker)
        wait_until(
            lambda: someone_waits_for_a_row(url) or not Worker.objects.filter(pid=worker),
            what="the worker is about to be retired, or is",
        )
    bench.settle(seconds=4)


def poison(bench: Bench) -> None:
    """A task kills its worker in every run."""
    bench.start_pool(lease=LONG)
    key = bench.send("poison-exit")
    wait_until(lambda: Task.objects.failed().exists() or len(bench.records("start", key)) > 4)


def two_pools(bench: Bench) -> None:
    """A second pool starts while the first works. Nothing is wrong with either."""
    bench.start_pool(lease=30.0, heartbeat=10.0)
    key = bench.send("slow", 5.0)
    first = bench.started(key)
    bench.start_pool()
    bench.ended_or_gone(key, first)
    bench.settle(seconds=2)


def killed_worker(bench: Bench) -> None:
    """A worker is killed in the middle of a run."""
    bench.start_pool(lease=LONG)
    key = bench.send("slow", 1.0)
    bench.kill(bench.started(key))
    bench.settle(seconds=LONG)


def broken_transactions(bench: Bench) -> None:
    """One enqueuer rolls back, another is killed before it commits."""
    bench.start_pool(lease=LONG)
    enqueuer = [sys.executable, "-m", "stress.prove.enqueuer"]
    environment = {**os.environ, "STRESS_SABOTAGE": bench.sabotage}
    ended = subprocess.run(enqueuer, env=environment, timeout=LONG)
    assert ended.returncode == -signal.SIGKILL, f"the enqueuer ended with {ended.returncode}"
    bench.send("fast")
    bench.settle(seconds=LONG)


def joined_call(bench: Bench) -> None:
    """A call joins a waiting task in a transaction that is open when a pool starts."""
    bench.send("joined")
    enqueuer = [sys.executable, "-m", "stress.prove.enqueuer", "join"]
    environment = {**os.environ, "STRESS_SABOTAGE": bench.sabotage}
    with subprocess.Popen(enqueuer, env=environment, stdin=subprocess.PIPE) as caller:
        wait_until(lambda: bench.records("joining"), what="the call is made")
        bench.start_pool()
        bench.passed(3.0, since=bench.records("joining")[0]["at"])
        caller.communicate(timeout=30)
    bench.settle()


def calls_of_a_group(bench: Bench) -> None:
    """Calls that must not run at once arrive while others of their group run."""
    bench.start_pool(4)
    for _ in range(20):
        bench.send_all(["solo"] * 3)
        bench.passed(0.05, since=bench.records("commit")[-1]["at"])
    bench.settle()


def two_last_parts(bench: Bench) -> None:
    """Two parts end, and neither sees the end of the other before its own commit."""
    bench.start_pool(2, lease=LONG)
    url = bench.database.url
    with ends_held_up(url):
        bench.send_workflow(["step-slow", "step-slow"], "step")
        wait_until(lambda: held_up(url) >= 2, what="two ends before their commits")
    bench.settle()


def long_step(bench: Bench) -> None:
    """A step that was released takes longer than a keeper needs to look for what is left."""
    bench.send_workflow(["step"], "step-long")  # before the pool: its keeper looks for open ones
    bench.start_pool(2)
    bench.settle()


def half_shipped(bench: Bench) -> None:
    """A worker is killed between the effect and the end of an atomic task."""
    bench.start_pool()
    key = bench.send("atomic", 1.0)
    worker = bench.started(key)
    bench.passed(0.75, since=bench.records("start", key)[0]["at"])
    bench.kill(worker)
    bench.settle()


def killer_in_a_batch(bench: Bench) -> None:
    """One task of a batch kills its worker, while others wait behind it."""
    bench.start_pool()
    bench.send_all(["mate"] * 50)  # from then on the pool knows it as quick
    bench.settle()
    bench.send_all(["mate"] * 15 + ["killer-mate-exit"] + ["mate"] * 15)
    bench.settle()


def long_one_in_a_batch(bench: Bench) -> None:
    """One task of a batch takes long, while others wait behind it and a worker is idle."""
    bench.start_pool(2, lease=LONG)
    bench.send_all(["slow"] * 50, 0.001)  # from then on the pool knows it as quick
    bench.settle()
    pausing.pause("default")
    for count, seconds in ((10, 0.001), (1, 0.4), (20, 0.001)):
        bench.send_all(["slow"] * count, seconds)
    pausing.resume("default")
    bench.settle(seconds=LONG)
    # So that the end of the pool cannot be the reason for a second run.
    bench.passed(1.5, since=bench.records("end")[-1]["at"])


def replaced_in_a_batch(bench: Bench) -> None:
    """Workers are replaced in the middle of batches of quick tasks."""
    pool = bench.start_pool()
    bench.send_all(["slow"] * 300, 0.005)
    for _ in range(4):
        _replaced(bench, pool)
    bench.settle()


def _replaced(bench: Bench, pool: Pool) -> None:
    (worker,) = wait_until(lambda: pool.children("worker").values(), what="a worker")
    runs = len(bench.records("end"))
    wait_until(lambda: len(bench.records("end")) > runs + 30)
    pool.signal(signal.SIGHUP)
    wait_until(lambda: worker not in pool.children("worker").values())


def no_supervisor(bench: Bench) -> None:
    """A supervisor is killed while its worker is at work."""
    pool = bench.start_pool()
    key = bench.send("slow", 1.0)
    bench.started(key)
    bench.kill_supervisor(pool)
    bench.start_pool()
    bench.settle()


def cancelled_and_killed(bench: Bench) -> None:
    """A task is cancelled, and its worker is killed before it hears of that."""
    pool = bench.start_pool()
    key = bench.send("cancelled")
    worker = bench.started(key)
    (keeper,) = pool.children("keeper").values()
    with bench.frozen(keeper):
        bench.cancel(key)
        bench.kill(worker)
    bench.settle()


def history_goes_back(bench: Bench) -> None:
    """The database is replaced by a copy that is older than a pool.

    The pool notices late, in the middle of a run, when one that has started since has claimed its
    task."""
    key = bench.send("slow", 14.0)
    copied = clock.now()
    before = Snapshot(bench.database.url)
    connections.close_all()
    network = bench.start_proxy()
    late = bench.start_pool(proxy=network, lease=8.0, heartbeat=1.0)
    first = bench.started(key)
    with bench.fault("cut-off", late, "cut"):
        network.hold()
        bench.fail_over(before, copied=copied)
        bench.start_pool(lease=8.0, heartbeat=1.0)
        bench.started(key, 2)
        network.forward()
    bench.ended_or_gone(key, first)
    bench.settle(seconds=25)


def workers_forgotten(bench: Bench) -> None:
    """A pool is lost in the middle of a run, and the table of workers is emptied."""
    gone = bench.start_pool()
    key = bench.send("slow", 1.0)
    worker = bench.started(key)
    bench.kill_supervisor(gone)
    wait_until(lambda: not psutil.pid_exists(worker), what="the worker has gone with it")
    Worker.objects.all().delete()
    bench.start_pool()
    bench.settle()


def two_tickers(bench: Bench) -> None:
    """Two pools send the ticks of one schedule over slow networks.

    When one sends a tick that it found due, the other has already sent it."""
    networks = [bench.start_proxy() for _ in range(2)]
    for network in networks:
        # With a long poll, the keepers are free when a tick is due.
        bench.start_pool(proxy=network, lease=15.0, heartbeat=5.0, poll=5.0, scheduled=True)
    for network, delay in zip(networks, (0.15, 0.2), strict=True):
        network.forward(delay=delay)
    seen = len(bench.ticks())
    wait_until(lambda: len(bench.ticks()) > seen + 3, what="some ticks")
    for network in networks:
        network.forward()
    Schedule.objects.all().pause()
    bench.settle()
