"""The bench of a trial: one or two real pools, a real database, real kills, and a verdict."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from django.db import connections

from pool import clock
from stress.chaos import workflows
from stress.chaos.cancelling import cancel
from stress.chaos.databases import Database
from stress.chaos.schedule import SCHEDULE
from stress.chaos.sending import send
from stress.chaos.shapes import Sketch
from stress.chaos.tables import read_final_state
from stress.chaos.watch import Watcher
from stress.checker import LeftOver, Limits, Verdict, judge
from stress.rig import history, processes
from stress.rig.closing import Closing
from stress.rig.history import History
from stress.rig.pools import Pool, TimedOut, wait_until
from stress.rig.proxy import Proxy
from stress.rig.snapshot import Snapshot
from taskq.celery import AsyncResult

MANAGE = "stress.project.manage"
#: Seconds of a lease and between its renewals, unless a scenario gives others.
LEASE, HEARTBEAT = 2.0, 0.5
#: Seconds between looks for work if nothing wakes a pool.
POLL = 0.2
#: Seconds that tasks get to be done after a scenario, and that a pool gets to stop.
SETTLE, DRAIN = 8.0, 2.0
#: How a pool logs an outcome that touched no row.
FENCED = "is no longer held by this worker"


class Bench(Closing):
    """One trial.

    home: the folder for logs. sabotage: the protection to take out; empty for none.
    """

    def __init__(self, home: Path, *, sabotage: str) -> None:
        self.home = home
        self.sabotage = sabotage
        self.history = History(os.environ["TASKQ_HISTORY"])
        self.database = Database(os.environ["DATABASE_URL"], None)
        self.pools: list[Pool] = []
        self.lease = LEASE  # the longest of any pool
        self._expected: dict[int, int] = {}  # exit codes that are right, if not 0
        self._tail = history.Tail(self.history.path)
        self._records: list[dict[str, Any]] = []
        self._handles: dict[str, AsyncResult] = {}  # of tasks, by key
        self._stack = ExitStack()
        self._watcher = Watcher(self.history)
        self._watcher.start()
        self._stack.callback(self._watcher.close)

    # Setting up

    def start_pool(
        self,
        workers: int = 1,
        *,
        lease: float = LEASE,
        heartbeat: float = HEARTBEAT,
        poll: float = POLL,
        proxy: Proxy | None = None,
        scheduled: bool = False,
    ) -> Pool:
        """Start a pool, and wait until its workers have leases. scheduled: it sends ticks."""
        environment = {**os.environ, "STRESS_SABOTAGE": self.sabotage}
        if proxy is not None:
            environment["DATABASE_URL"] = self.database.url_by(proxy.host, proxy.port)
        if scheduled:
            environment["STRESS_TASKQ"] = json.dumps({"SCHEDULE": SCHEDULE})
        options = {
            "-c": workers,
            "--lease": lease,
            "--heartbeat": heartbeat,
            "--poll": poll,
            "--drain-timeout": DRAIN,
        }
        words = [str(word) for option in options.items() for word in option]
        log = self.home / f"pool{len(self.pools)}.log"
        pool = Pool(MANAGE, words, log=log, environment=environment)
        self._stack.callback(_kill, pool)
        self.pools.append(pool)
        self.lease = max(self.lease, lease)
        self._watcher.add(pool.pid)
        wait_until(lambda: self._leases(pool) == workers + 1, what=f"pool up: {pool.log()}")
        return pool

    def start_proxy(self) -> Proxy:
        """Start a proxy as the network between a pool and the database."""
        return self._stack.enter_context(Proxy(self.database.target))

    def send(self, kind: str, *args: object) -> str:
        """Send and commit a task of a kind. Returns its key."""
        return self.send_all([kind], *args)[0]

    def send_all(self, kinds: list[str], *args: object) -> list[str]:
        """Send tasks of these kinds in one transaction. Returns their keys."""
        send(self.history, kinds, *args, sent=self._handles.__setitem__)
        return [str(key) for key in self.records("commit")[-1]["keys"]]

    def send_workflow(self, parts: list[str], body: str) -> list[str]:
        """Send and commit a group of these kinds, and a step that waits for it. Returns the keys,
        that of the step last."""
        sketch = Sketch(random.Random(0))
        sketch.add(body, [sketch.add(kind) for kind in parts])
        workflows.send(self.history, sketch)
        return [part.key for part in sketch.parts]

    # What happened

    def records(self, kind: str, key: str = "") -> list[dict[str, Any]]:
        self._records += self._tail.read()
        return [
            record
            for record in self._records
            if record["kind"] == kind and (not key or record["key"] == key)
        ]

    def started(self, key: str, times: int = 1) -> int:
        """Wait until a task was started ``times`` times. Returns the pid of the last of them.

        Raises TimedOut.
        """
        wait_until(lambda: len(self.records("start", key)) >= times, what=f"start {times} of {key}")
        return int(self.records("start", key)[times - 1]["pid"])

    def ticks(self) -> set[int]:
        """The ticks whose tasks were started."""
        return {record["scheduled_at"] for record in self.records("start")}

    def ended(self, key: str, *, seconds: float = 15.0) -> None:
        """Wait for the end of a run. Raises TimedOut."""
        wait_until(lambda: self.records("end", key), seconds=seconds, what=f"an end of {key}")

    def ended_or_gone(self, key: str, pid: int) -> None:
        """Wait until a run has ended, or its process has.

        Raises TimedOut.
        """
        wait_until(
            lambda: (
                not psutil.pid_exists(pid)
                or any(record["pid"] == pid for record in self.records("end", key))
            ),
            what=f"the end of {key} in process {pid}",
        )

    def passed(self, seconds: float, *, since: int) -> None:
        """Wait until this time has passed since a record."""
        until = since + clock.nanoseconds(seconds)
        wait_until(lambda: clock.now() > until, seconds=seconds + 5)

    # Faults

    def kill(self, pid: int) -> None:
        """Send SIGKILL to a worker, and record it."""
        since = clock.now()
        os.kill(pid, signal.SIGKILL)
        self.history.record("death", victim=pid, role="worker", cause="kill", since=since)

    def cancel(self, key: str) -> None:
        """Cancel a task, and record it."""
        cancel(self.history, key, self._handles[key])

    @contextmanager
    def frozen(self, pid: int) -> Iterator[None]:
        """Stop a process during the block, and record it."""
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: processes.is_stopped(pid))
        self.history.record("freeze", victims=[pid])
        try:
            yield
        finally:
            self.history.record("thaw", victims=[pid])
            os.kill(pid, signal.SIGCONT)

    def kill_supervisor(self, pool: Pool) -> None:
        """Send SIGKILL to a supervisor alone, and record it."""
        since, children = clock.now(), list(pool.children().values())
        pool.process.kill()
        self._expected[pool.pid] = -signal.SIGKILL
        about = {"victim": pool.pid, "role": "supervisor", "victims": children}
        self.history.record("death", **about, cause="kill", since=since)

    def freeze(self, pool: Pool) -> list[int]:
        """Send SIGSTOP to a whole pool, and record it. Returns its processes, workers first."""
        victims = [*pool.children("worker").values(), *pool.children("keeper").values(), pool.pid]
        for pid in victims:
            os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: all(processes.is_stopped(pid) for pid in victims))
        self.history.record("freeze", victims=victims)
        return victims

    @contextmanager
    def fault(self, name: str, pool: Pool, effect: str = "") -> Iterator[None]:
        """Record that a fault happens to a pool during the block."""
        of = {"name": name, "target": str(pool.pid), "effect": effect, "victims": [pool.pid]}
        self.history.record("fault", phase="begin", **of)
        try:
            yield
        finally:
            self.history.record("fault", phase="end", **of)

    def fail_over(self, before: Snapshot, *, copied: int) -> None:
        """Put the snapshot in place of the database, and record it."""
        lost = clock.now()
        self.history.record("fault", name="failover", phase="begin", effect="cut")
        before.restore()
        self.history.record("fault", name="failover", phase="end")
        self.history.record("failover", copied=copied, lost=lost)
        connections.close_all()  # those of this process were ended too

    # The end

    def settle(self, *, seconds: float = SETTLE) -> None:
        """Give all tasks the time to be done. The checker decides whether they are."""
        from taskq.models import State, Task

        with suppress(TimedOut):
            wait_until(
                lambda: not Task.objects.exclude(state=State.FAILED).exists(), seconds=seconds
            )

    def verdict(self) -> Verdict:
        """Stop the pools, and judge."""
        left_over = []
        for pool in self.pools:
            with self.fault("term", pool):
                code = pool.stop(seconds=DRAIN + 15)
            expected = [self._expected.get(pool.pid, 0)]
            self.history.record("pool-exit", victim=pool.pid, code=code, expected=expected)
            left_over += [LeftOver(pid, processes.title(pid)) for pid in _outliving(pool)]
        fenced = sum(pool.log().count(FENCED) for pool in self.pools)
        state = read_final_state(left_over, deadlocks=0, fenced=fenced)
        return judge(history.read(self.history.path), state, Limits(lease=self.lease))

    def close(self) -> None:
        self._stack.close()

    def _leases(self, pool: Pool) -> int:
        from taskq.models import Worker

        assert pool.process.poll() is None, pool.log()
        return Worker.objects.filter(pool__endswith=f":{pool.pid}").count()


def _kill(pool: Pool) -> None:
    """Kill the whole pool, and what its supervisor has left behind."""
    pool.kill_all()
    for pid in processes.of_session(pool.pid):
        processes.send(pid, signal.SIGKILL)


def _outliving(pool: Pool) -> list[int]:
    """The processes that still live a second after the end of their pool."""
    with suppress(TimedOut):
        wait_until(lambda: not processes.of_session(pool.pid), seconds=1)
    return processes.of_session(pool.pid)
