"""``manage.py taskq_status``: the state of the queues, for people and for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from taskq import printable, statistics
from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning
from taskq.events import UNKNOWN_MEND, first_line
from taskq.management.arguments import add_database, database_alias, number, whole_number
from taskq.management.commands.taskq_pause import paused
from taskq.management.queue_command import QueueCommand
from taskq.models import ShownState
from taskq.overview import Overview, overview
from taskq.store import grants

#: The exit code when there are problems. ``systemctl status`` uses the same one.
UNWELL = 3
HOUR = timedelta(hours=1)


class Command(QueueCommand):
    help = (
        "Show how many tasks each queue has in each state, which queues are paused, and how many "
        f"workers are alive and busy. The exit code is 0 when all is well. It is {UNWELL} when no "
        "worker is alive, when tasks are lost (the lease of their worker expired or is gone, and "
        "no pool has reclaimed them yet), when tasks wait whose names a worker did not know, when "
        "the pool's role lacks grants, or when a given limit is passed. It is 1 when an option was "
        "wrong or the database gave no answer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--json", action="store_true", help="print JSON; times are in seconds")
        add(
            "--max-wait",
            metavar="SECONDS",
            type=number,
            help="report a task that has been due for longer (default: no limit)",
        )
        add(
            "--max-pending",
            metavar="N",
            type=whole_number,
            help="report when more tasks are due (default: no limit)",
        )
        add(
            "--max-failed",
            metavar="N",
            type=whole_number,
            help="report when there are more failed tasks (default: no limit)",
        )
        add_database(parser)

    def handle(self, **options: Any) -> None:
        for name in ("max_wait", "max_pending", "max_failed"):
            if options[name] is not None and options[name] < 0:
                option = "--" + name.replace("_", "-")
                raise CommandError(f"{option} is {options[name]:g}: give a number from 0")
        alias = database_alias(options["database"])
        lacking = grants.missing_from_the_pools(alias)
        try:
            seen = overview(alias)
        except DATABASE_ERRORS as error:
            if not lacking or meaning(error) is not Meaning.ANSWER:
                raise
            raise CommandError(f"{first_line(error)}; {_lacks(lacking)}") from error
        found = problems(seen, options)
        if lacking:
            found.append(_lacks(lacking))
        if options["json"]:
            ended = statistics.figures(alias, since=timezone.now() - HOUR)
            self.stdout.write(json.dumps(as_dict(seen, found, ended), indent=2))
        else:
            self._table(seen)
            for problem in found:
                self.stdout.write(self.style.ERROR(f"! {problem}"))
        if found:
            sys.exit(UNWELL)

    def _table(self, seen: Overview) -> None:
        rows = [["queue", *(state.value for state in ShownState), "oldest due"]]
        rows += [
            [
                printable.in_a_line(queue.queue),
                *(str(count) for count in queue.counts.values()),
                f"{queue.oldest:.1f} s" if queue.counts[ShownState.PENDING] else "-",
            ]
            for queue in seen.queues
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            first, *others = zip(row, widths, strict=True)
            cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
            self.stdout.write("  ".join(cells).rstrip())
        for queue in seen.queues:
            if queue.pause is not None:
                self.stdout.write(f"{paused(queue.pause)}: nothing of it is claimed")
        if seen.stands_still:
            text = "a workflow stands still, as a step of it has failed: taskq_retry runs it again"
            self.stdout.write(text)
        if not seen.queues:
            self.stdout.write("no tasks")
        self.stdout.write(f"{seen.alive} workers alive in {seen.pools} pools, {seen.busy} busy")


def _lacks(statements: list[str]) -> str:
    return f"the role of the pool lacks grants: run {'; '.join(statements)}"


def problems(seen: Overview, limits: dict[str, Any]) -> list[str]:
    """A sentence for each problem."""
    pending, failed = seen.total(ShownState.PENDING), seen.total(ShownState.FAILED)
    lost = seen.total(ShownState.LOST)
    wait, most, worst = limits["max_wait"], limits["max_pending"], limits["max_failed"]
    found = [] if seen.alive else ["no worker is alive: start manage.py taskq_pool"]
    if lost:
        found.append(f"{lost} tasks are lost: a pool that runs reclaims them")
    if seen.unknown:
        names = [f"{printable.in_a_line(name)} ({n})" for name, n in seen.unknown.items()]
        found.append(
            f"{sum(seen.unknown.values())} tasks wait for a worker that knows their names: "
            f"{', '.join(names)}; {UNKNOWN_MEND}"
        )
    if wait is not None and seen.oldest > wait:
        found.append(f"a task has been due for {seen.oldest:.1f} s (--max-wait {wait:g})")
    if most is not None and pending > most:
        found.append(f"{pending} tasks are due (--max-pending {most})")
    if worst is not None and failed > worst:
        found.append(f"{failed} tasks have failed (--max-failed {worst})")
    return found


def as_dict(
    seen: Overview, found: list[str], ended: Mapping[str, statistics.Figures]
) -> dict[str, Any]:
    """The object that ``--json`` prints. ended: the figures of the last hour by name."""
    return {
        "queues": [
            {
                "queue": queue.queue,
                **{state.value: count for state, count in queue.counts.items()},
                "oldest": queue.oldest,
                "unknown": queue.unknown,
                "paused": queue.pause is not None,
            }
            for queue in seen.queues
        ],
        "total": {state.value: seen.total(state) for state in ShownState},
        "oldest": seen.oldest,
        "unknown": seen.unknown,
        "stands_still": seen.stands_still,
        "pools": seen.pools,
        "alive": seen.alive,
        "busy": seen.busy,
        "workers": [asdict(worker) for worker in seen.workers],
        "last_hour": {name: _of_runs(figures) for name, figures in sorted(ended.items())},
        "problems": found,
    }


def _of_runs(figures: statistics.Figures) -> dict[str, float | None]:
    return {
        **figures.ends,
        "run_p50": figures.run_time(0.5),
        "run_p95": figures.run_time(0.95),
        "wait_p50": figures.wait_time(0.5),
        "wait_p95": figures.wait_time(0.95),
    }
