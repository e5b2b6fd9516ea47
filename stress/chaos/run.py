"""One run of chaos, from the first process to the verdict."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from django.db import connections
from rich.console import Console
from rich.live import Live

from stress.chaos.databases import Database, open_database
from stress.chaos.faults import FAULTS, Chosen, PoolFault, SceneFault, choose
from stress.chaos.faults.base import Lane
from stress.chaos.noted import noted
from stress.chaos.options import Options
from stress.chaos.plan import Plan, Planned, plan
from stress.chaos.progress import Progress
from stress.chaos.report import Report
from stress.chaos.scene import Scene
from stress.checker import Limits, judge
from stress.rig.pools import TimedOut, wait_until

#: Seconds that the remaining tasks may take once the load has ended.
DRAIN = 90.0
#: The name of an event -> its words in the log of a pool.
EVENTS = {
    "tasks lost": "lost its worker",
    "finishes fenced": "is no longer held by this worker",
    "leases reclaimed": " ran out: ",
    "leases overdue": "died: lease ran out unrenewed",
    "renewals late": "leases were renewed",
    "out of memory": "died: out of memory",
    "database lost": "the database does not answer",
}


class Refused(Exception):
    """The run cannot begin. The text says why."""


def run(options: Options, console: Console, *, keep: bool = False) -> tuple[Report, Progress]:
    """Run the load and the faults, and judge.

    keep: keep the history and the logs. They are always kept when something was wrong.

    Raises ValueError for faults that cannot be injected, Refused for a database that
    is in use.
    """
    chosen = choose(options)
    made = plan(options, chosen.faults)
    needs = frozenset(need for fault in chosen.faults for need in fault.needs)
    home = Path(tempfile.mkdtemp(prefix="taskq-chaos-"))
    with open_database(options, needs) as database:
        _set_up(database, home)
        scene = Scene(options, home, database, needs)
        try:
            report, progress = _Run(scene, chosen, made, console).run()
        finally:
            scene.close()
    if report.ok and not keep:
        shutil.rmtree(home)
    else:
        console.print(f"the history, the logs and the last rows of the tables are in {home}")
    return report, progress


def _set_up(database: Database, home: Path) -> None:
    """Set up Django, the tables, and an empty history."""
    os.environ.update(
        DATABASE_URL=database.url,
        DJANGO_SETTINGS_MODULE="stress.project.settings",
        TASKQ_HISTORY=str(home / "history.jsonl"),
    )
    subprocess.run([sys.executable, "-m", "stress.project.manage", "migrate", "-v0"], check=True)
    import django

    django.setup()
    from stress.chaos.tables import finished_of_the_load, results_of_the_load
    from stress.project.lab.models import Effect, Entry
    from taskq.models import Task

    if Task.objects.exists():
        raise Refused(
            f"there are {Task.objects.count()} tasks in that database: give one that is empty"
        )
    Entry.objects.all().delete()
    Effect.objects.all().delete()
    results_of_the_load().delete()
    finished_of_the_load().delete()


class _Run:
    def __init__(self, scene: Scene, chosen: Chosen, made: Plan, console: Console) -> None:
        self.scene = scene
        self.options = scene.options
        self.chosen = chosen
        self.plan = made
        self.console = console
        self.limits = Limits(lease=scene.options.lease)
        self._injected: set[str] = set()
        self.progress = Progress(os.environ["TASKQ_HISTORY"], self.limits)

    def run(self) -> tuple[Report, Progress]:
        for deployment in self.scene.deployments:
            deployment.wait_up()
        with Live(console=self.console, refresh_per_second=4) as live:
            self._load(live)
            self._drain(live)
            self._stop(live)
        return self._judge(), self.progress

    # The phases

    def _load(self, live: Live) -> None:
        began = time.monotonic()
        lanes: dict[tuple[Lane, int | None], list[Planned]] = defaultdict(list)
        for planned in self.plan.entries:
            lanes[FAULTS[planned.fault].lane, planned.pool].append(planned)
        threads = [
            threading.Thread(target=self._inject_all, args=(began, entries), daemon=True)
            for entries in lanes.values()
        ]
        for thread in threads:
            thread.start()
        try:
            while time.monotonic() - began < self.options.seconds:
                left = self.options.seconds - (time.monotonic() - began)
                self._show(live, f"{left:.0f} s of load and faults to go")
        except KeyboardInterrupt:
            self.scene.errors.append("Ctrl-C ended the run")
            self.scene.abort()
        for thread in threads:
            while thread.is_alive():
                self._show(live, "the last faults end")
        self.scene.enqueuers.stop()
        connections.close_all()  # the faults may have broken them

    def _drain(self, live: Live) -> None:
        """Wait until no task waits or runs, but for steps that a failed one stops. The checker
        judges what is left at the deadline."""
        from taskq.models import Schedule

        Schedule.objects.all().pause()
        with suppress(TimedOut):
            wait_until(lambda: self._none_left(live), seconds=DRAIN)

    def _none_left(self, live: Live) -> bool:
        from stress.chaos.bad_rows import make_unknown_for_long
        from stress.chaos.tables import standing_still
        from taskq.models import State, Task

        make_unknown_for_long()
        left = Task.objects.filter(state__in=(State.READY, State.RUNNING)).count()
        left += standing_still()
        self._show(live, "draining", left)
        return left == 0

    def _stop(self, live: Live) -> None:
        self._show(live, "stopping the pools")
        self.scene.scraper.finish()
        for deployment in self.scene.deployments:
            self.scene.retire(deployment)

    def _judge(self) -> Report:
        from stress.chaos.tables import read_final_state

        self.progress.follow()
        logs = "".join(file.read_text(errors="replace") for file in self.scene.log_files)
        events = {name: logs.count(text) for name, text in EVENTS.items()}
        state = read_final_state(
            self.scene.left_over,
            deadlocks=self.scene.database.deadlocks(),
            fenced=events["finishes fenced"],
        )
        (self.scene.home / "state.json").write_text(json.dumps(asdict(state), default=list))
        no_time = {name: "no time: give more --seconds" for name in self.plan.left_out}
        return Report(
            options=self.options,
            verdict=judge(self.progress.records, state, self.limits),
            faults=self.progress.faults,
            skipped={**self.chosen.skipped, **no_time},
            oom=self.scene.oom,
            events=events,
            errors=self.scene.errors,
        )

    # Faults

    def _inject_all(self, began: float, entries: list[Planned]) -> None:
        """Inject the faults of one lane, each at its time or when the one before has ended.

        After the end of the load, only faults that have not happened yet.
        """
        for planned in entries:
            self.scene.pause(began + planned.at - time.monotonic())
            late = time.monotonic() - began > self.options.seconds
            if self.scene.aborted:
                return
            if not late or planned.fault not in self._injected:
                self._injected.add(planned.fault)
                self._inject(planned)

    def _inject(self, planned: Planned) -> None:
        fault, rng = FAULTS[planned.fault], random.Random(planned.seed)
        scene = self.scene
        target = scene.deployments[planned.pool] if planned.pool is not None else None
        try:
            with noted(scene.history, fault, target):
                if target is not None:
                    assert isinstance(fault, PoolFault)
                    fault.inject(scene, target, rng)
                else:
                    assert isinstance(fault, SceneFault)
                    fault.inject(scene, rng)
        except Exception as error:
            what = f"{fault.name} {target.name if target else ''}"
            scene.errors.append(f"{what}: {type(error).__name__}: {error}")

    def _show(self, live: Live, stage: str, waiting: int | None = None) -> None:
        self.progress.follow()
        live.update(self.progress.table(stage, waiting))
        time.sleep(0.2)
