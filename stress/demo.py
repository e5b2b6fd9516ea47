"""The demo. A small shop writes orders and tasks in one transaction, while workers are
killed. In the end everything is counted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from pool import clock
from stress.checker import FinalState, Kind, Limits, TaskRow, judge
from stress.rig import history
from stress.rig.history import History
from stress.rig.pools import Pool, wait_until

MANAGE = "stress.project.manage"
LEASE = 6.0
REPORT = Path("demo-report.json")

#: Seconds of load, of waiting for the rest, and between two kills.
LOAD = 20.0
DRAIN = 25.0
KILL_EVERY = 0.5
#: Seconds between two lines of progress if there is no terminal.
LINE_EVERY = 3.0


@dataclass
class Report:
    """What the demo counted. The fields are the keys of demo-report.json."""

    committed: int = 0
    rolled_back: int = 0
    run: int = 0
    retried: int = 0
    killed: int = 0
    lost: int = 0
    overlaps: int = 0
    recovery_median_s: float | None = None
    recovery_max_s: float | None = None


def main() -> int:
    """Run the demo. The exit code is 1 if anything was lost or overlapped."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="taskq-demo-") as home, _database(console) as url:
        os.environ.update(
            DATABASE_URL=url,
            DJANGO_SETTINGS_MODULE="stress.project.settings",
            TASKQ_HISTORY=f"{home}/history.jsonl",
        )
        subprocess.run([sys.executable, "-m", MANAGE, "migrate", "-v0"], check=True)
        import django

        django.setup()
        demo = Demo(console, Path(home))
        report = demo.run()
    REPORT.write_text(json.dumps(asdict(report), indent=2) + "\n")
    console.print(_table(report, "done"))
    console.print(f"the same as JSON: {REPORT}")
    return 0 if demo.sound else 1


@contextmanager
def _database(console: Console) -> Iterator[str]:
    """DATABASE_URL if it is set, else an embedded PostgreSQL server."""
    if url := os.environ.get("DATABASE_URL"):
        console.print(f"database: {url.split('://')[0]} (DATABASE_URL)")
        yield url
        return
    from stress.rig.postgres import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        console.print("database: an embedded PostgreSQL, just started")
        yield server.create_database("demo")


class Demo:
    """The shop, its pool, and the killing of its workers."""

    def __init__(self, console: Console, home: Path) -> None:
        from stress.project.shop import models, tasks

        self.tasks = tasks
        self.orders = models.Order.objects
        self.shipments = models.Shipment.objects
        self.console = console
        self.history = History(os.environ["TASKQ_HISTORY"])
        self.pool_log = home / "pool.log"
        self.tail = history.Tail(self.history.path)
        self.records: list[dict[str, Any]] = []
        self.kinds = {
            tasks.send_receipt.name: "receipt",
            tasks.charge_card.name: "charge",
            tasks.ship.name: "ship",
            tasks.print_label.name: "label",
        }
        self.report = Report()
        self.sound = True
        self.first = 1 + max(self.orders.values_list("number", flat=True), default=0)
        self.number = self.first

    def run(self) -> Report:
        options = ["-c", "8", "--lease", str(LEASE), "--heartbeat", "2", "--poll", "0.5"]
        pool = Pool(MANAGE, options, log=self.pool_log, environment=dict(os.environ))
        self.console.print(f"started: taskq_pool {' '.join(options)}")
        wait_until(lambda: len(pool.children("worker")) == 8, what=f"8 workers, see {pool.log()}")
        try:
            with Progress(self.console) as progress:
                self._load(pool, progress)
                self._drain(progress)
            code = pool.stop()
        finally:
            pool.kill_all()
        if code:
            self.console.print(f"the pool ended with code {code}:\n{pool.log()}")
        return self._count()

    def _load(self, pool: Pool, progress: Progress) -> None:
        """Place orders, and kill a worker from time to time."""
        ends = time.monotonic() + LOAD
        next_kill = time.monotonic() + 1.0
        while time.monotonic() < ends:
            self._place_order()
            if time.monotonic() >= next_kill:
                next_kill += KILL_EVERY
                self._kill_a_worker(pool)
            self._follow()
            progress.show(self.report, "placing orders, killing workers")
            time.sleep(0.02)

    def _drain(self, progress: Progress) -> None:
        """Wait until all tasks are done, with their retries."""
        from taskq.models import Task

        def done() -> bool:
            self._follow()
            waiting = Task.objects.exclude(state=2).count()
            progress.show(self.report, f"no more orders, {waiting} tasks to go")
            return waiting == 0

        wait_until(done, seconds=DRAIN, what="all tasks done")

    def _place_order(self) -> None:
        """Place one order with its tasks: all of it, or nothing."""
        from django.db import transaction

        number, self.number = self.number, self.number + 1
        keys = [f"{kind} {number}" for kind in self.kinds.values()]
        for kind, key in zip(self.kinds.values(), keys, strict=True):
            self.history.record("intent", key=key, task=kind)
        try:
            with transaction.atomic():
                self.orders.create(number=number)
                self.tasks.send_receipt.delay(number)
                self.tasks.charge_card.delay(number)
                self.tasks.ship.delay(number)
                self.tasks.print_label.delay(number, random.uniform(0.05, 0.4))
                if random.random() < 0.2:
                    raise _ChangedMind
        except _ChangedMind:
            self.history.record("rollback", keys=keys)
            self.report.rolled_back += len(keys)
        else:
            self.history.record("commit", keys=keys)
            self.report.committed += len(keys)

    def _kill_a_worker(self, pool: Pool) -> None:
        """Send SIGKILL to a worker, to one that prints a label if there is one."""
        titles = pool.titles("worker")
        busy = [pid for pid, doing in titles.values() if "print_label" in doing]
        victims = busy or [pid for pid, _ in titles.values()]
        if not victims:
            return
        victim, since = random.choice(victims), clock.now()
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.history.record("death", victim=victim, role="worker", cause="kill", since=since)
        self.report.killed += 1

    def _count(self) -> Report:
        self._follow()
        verdict = judge(self.records, self._final_state(), Limits(lease=LEASE))
        report = self.report
        report.lost = len(verdict.violations["lost"])
        report.overlaps = len(verdict.violations["overlaps"])
        if recovery := verdict.recovery_s["worker"]:
            report.recovery_median_s, report.recovery_max_s = recovery.median, recovery.max
        self.sound = verdict.ok
        for name in verdict.broken():
            findings = verdict.violations[name]
            self.console.print(f"{len(findings)} {name}:")
            for finding in findings[:10]:
                self.console.print(f"  {finding.text}", markup=False, highlight=False)
        return report

    def _final_state(self) -> FinalState:
        """What this demo left in the tables, without the rows of an older demo."""
        from taskq.models import State, Task

        rows = []
        for task in Task.objects.filter(name__in=self.kinds):
            kind, number = self.kinds[task.name], json.loads(task.payload)[0][0]
            if number >= self.first:
                key, state = f"{kind} {number}", State(task.state).name
                rows.append(TaskRow(key, state, kind=kind, losses=task.losses, error=task.error))
        shipped = self.shipments.filter(order__number__gte=self.first)
        return FinalState(
            tasks=tuple(rows),
            effects=Counter(
                f"ship {number}" for number in shipped.values_list("order__number", flat=True)
            ),
            kinds={"ship": Kind("ship", atomic=True)},
        )

    def _follow(self) -> None:
        """Read what the workers have recorded since the last time."""
        for record in self.tail.read():
            self.records.append(record)
            self.report.run += record["kind"] == "end"
            self.report.retried += record["kind"] == "raised"


class Progress:
    """The changing table on a terminal, and a line from time to time elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._next_line = time.monotonic()

    def __enter__(self) -> Progress:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, report: Report, stage: str) -> None:
        if self._console.is_terminal:
            self._live.update(_table(report, stage))
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_EVERY
            self._console.print(
                f"{stage}: {report.committed} committed, {report.run} run, "
                f"{report.retried} retried, {report.killed} workers killed"
            )


class _ChangedMind(Exception):
    """Raised to roll back an order with its tasks."""


def _table(report: Report, stage: str) -> Table:
    table = Table(title=f"taskq demo: {stage}", show_header=False)
    words = {
        "committed": "tasks committed with their orders",
        "rolled_back": "tasks rolled back with their orders",
        "run": "runs that ended",
        "retried": "runs that failed and were retried",
        "killed": "workers killed (SIGKILL)",
        "lost": "tasks lost",
        "overlaps": "runs of one task that overlapped",
        "recovery_median_s": "kill to next start, median (s)",
        "recovery_max_s": "kill to next start, max (s)",
    }
    for key, value in asdict(report).items():
        text = "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
        table.add_row(words[key], text)
    return table
