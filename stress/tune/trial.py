"""One trial: pools with a setting and a latency work under load, while hosts and workers die."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import signal
import time
from pathlib import Path

from pool.clock import SECOND
from stress.checker.records import Record
from stress.checker.runs import runs as read_runs
from stress.rig import history
from stress.rig.history import History
from stress.rig.pools import Pool, wait_until
from stress.tune.bed import Bed, lose
from stress.tune.grid import Setting, trial_seconds
from stress.tune.results import Cell

#: Hosts that a trial loses, each with a running task, and the workers of the surviving pool
#: beside those that take over from them.
HOSTS = 3
WORKERS = 3
#: Processes with a lease that are lost with the hosts: a keeper and a worker for each.
PROCESSES = 2 * HOSTS
#: Seconds of a task of the load, and how many tasks wait.
TASK = 0.25
BACKLOG = 8
#: Seconds of the tasks that are lost with their hosts: longer than any trial.
FOREVER = 3600.0

_EXPIRED = re.compile(r"died: lease ran out unrenewed")
_RECLAIMED = re.compile(r"lease of .+ of \S+:(\d+) ran out: ")


class Trial:
    """Lose three hosts, and from time to time a worker of the surviving pool.

    kill_every: seconds between two killed workers. seconds: the least time under load.
    """

    def __init__(
        self, bed: Bed, setting: Setting, latency: float, *, kill_every: float, seconds: float
    ) -> None:
        self.bed = bed
        self.setting = setting
        self.latency = latency
        self.kill_every = kill_every
        self.seconds = seconds
        self.history = History(_fresh(bed.home))
        self.tail = history.Tail(self.history.path)
        self.records: list[Record] = []
        self._numbers = itertools.count()
        self._random = random.Random(str(setting))

    def run(self) -> Cell:
        # Each direction takes half of the round trip.
        self.bed.proxy.forward(delay=self.latency / 2)
        hosts, survivor = self._start()
        try:
            self._torment(hosts, survivor)
            return self._cell(hosts, survivor)
        finally:
            self.bed.clear()

    def _start(self) -> tuple[list[Pool], Pool]:
        """Start the hosts with a running task each, then the surviving pool."""
        from stress.project.lab import tasks

        options = ["--lease", self.setting.lease, "--heartbeat", self.setting.heartbeat]
        file = self.history.path
        hosts = [
            self.bed.start_pool("-c", 1, "-Q", "host", *options, history=file) for _ in range(HOSTS)
        ]
        for host in hosts:
            self.bed.wait_ready(host, 1)
        for number in range(HOSTS):
            tasks.slow.apply_async((f"host {number}", FOREVER), queue="host")
        self._wait_for_starts()
        survivor = self.bed.start_pool("-c", HOSTS + WORKERS, *options, history=file)
        self.bed.wait_ready(survivor, HOSTS + WORKERS)
        return hosts, survivor

    def _torment(self, hosts: list[Pool], survivor: Pool) -> None:
        began = time.monotonic()
        # A pool takes over from others once it has worked for a heartbeat.
        beat = self.setting.heartbeat
        losses = sorted(began + beat * (1 + self._random.random()) + 0.5 for _ in hosts)
        next_kill = began + self.kill_every / 2
        ends = began + self.seconds
        gives_up = began + 2 * trial_seconds(self.setting, self.latency, self.seconds) + 10
        waiting = list(zip(losses, hosts, strict=True))
        while (now := time.monotonic()) < gives_up:
            self._feed()
            if waiting and now >= waiting[0][0]:
                self._lose(waiting.pop(0)[1])
            if now >= next_kill:
                next_kill = now + self.kill_every
                self._kill_a_worker(survivor)
            self.records += self.tail.read()
            if now >= ends and not waiting and self._taken_over() == HOSTS:
                return
            time.sleep(0.05)

    def _wait_for_starts(self) -> None:
        def started() -> bool:
            self.records += self.tail.read()
            return len([each for each in self.records if each["kind"] == "start"]) >= HOSTS

        wait_until(started, seconds=30 + 20 * self.latency, what="the hosts' tasks at work")

    def _feed(self) -> None:
        """Keep the workers of the surviving pool busy, with slow and quick tasks."""
        from stress.project.lab import tasks
        from taskq.models import Task

        for _ in range(BACKLOG - Task.objects.pending().count()):
            number = next(self._numbers)
            if number % 2:
                tasks.fast.delay(f"fast {number}")
            else:
                tasks.slow.delay(f"slow {number}", TASK)

    def _lose(self, host: Pool) -> None:
        """Lose a host, and record each of its processes as killed at that moment."""
        pids = [host.pid, *(process.pid for process in host.descendants())]
        lose(host)
        for pid in pids:
            self.history.record("kill", victim=pid, role="host")

    def _kill_a_worker(self, survivor: Pool) -> None:
        """Kill a worker that runs a task of the load, not one with a task of a lost host."""
        busy = [pid for pid, doing in survivor.titles("worker").values() if doing != "idle"]
        running = {
            record["pid"]: record["key"] for record in self.records if record["kind"] == "start"
        }
        victims = [pid for pid in busy if not str(running.get(pid, "")).startswith("host")]
        if victims:
            victim = self._random.choice(victims)
            with contextlib.suppress(ProcessLookupError):  # it has died
                os.kill(victim, signal.SIGKILL)
                self.history.record("kill", victim=victim, role="worker")

    def _taken_over(self) -> int:
        starts = [r["key"] for r in self.records if r["kind"] == "start"]
        return sum(starts.count(f"host {number}") >= 2 for number in range(HOSTS))

    def _cell(self, hosts: list[Pool], survivor: Pool) -> Cell:
        self.records += self.tail.read()
        runs = read_runs(self.records)
        cell = Cell(self.setting, self.latency)
        cell.done = sum(run.how == "end" for run in runs)
        first = {run.key: run for run in reversed(runs)}
        for run in runs:
            if run.how == "killed":
                again = [r.began for r in runs if r.key == run.key and r.began > run.over]
                # Later runs are in the surviving pool, whose worker may just have been killed.
                of_host = run.key.startswith("host") and run is first[run.key]
                into = cell.host_recovery if of_host else cell.worker_recovery
                into += [(min(again) - run.over) / SECOND] if again else []
        if len(cell.host_recovery) < HOSTS:
            raise RuntimeError(
                f"{self.setting} at {self.latency:g} s: {HOSTS - len(cell.host_recovery)} lost "
                f"hosts' tasks were not taken over; the survivor's log:\n{survivor.log()}"
            )
        lost = {host.pid for host in hosts}
        for pool in (*hosts, survivor):
            log = pool.log()
            cell.false_expiries += len(_EXPIRED.findall(log))
            cell.false_expiries += sum(int(pid) not in lost for pid in _RECLAIMED.findall(log))
            cell.late += log.count("leases were renewed ")
        return cell


def _fresh(home: Path) -> Path:
    return home / f"history{len(list(home.glob('history*')))}.jsonl"
