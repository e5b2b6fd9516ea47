"""What each statement costs the database, and a task its worker: measured, kept as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Line:
    """A cost that grows with a number: ``fixed + each * n`` seconds of CPU."""

    fixed: float
    each: float

    def of(self, n: float) -> float:
        return self.fixed + self.each * n


@dataclass(frozen=True)
class Costs:
    """Seconds. Those of statements are CPU time of the backend that serves them.

    renew: by leases renewed. expired: by rows of taskq_worker. claim, finish: by tasks.
    locked: more for a claim, for each task that others hold locked ahead of it.
    retire: of one dead worker, all its statements. enqueue, lanes: of one; the latter
        where tasks wait, and where none does (lanes_idle).
    flush: from the end of a writing statement until its commit is on disk.
    round_trip: of a statement, beside its CPU time, with the database on this host.
    client_cycle, client_task: CPU time of a worker for each claim-and-finish, and for
        each task in it, the task's own code not counted.
    backend_kib: memory that one more idle connection takes.
    made: on what it was measured.
    """

    renew: Line
    expired: Line
    claim: Line
    finish: Line
    locked: float
    retire: float
    enqueue: float
    lanes: float
    lanes_idle: float
    flush: float
    round_trip: float
    client_cycle: float
    client_task: float
    backend_kib: float
    made: str


_LINES = ("renew", "expired", "claim", "finish")


def read(path: Path | None = None) -> Costs:
    """From a file that :func:`write` made; the ones that come with stress by default."""
    source = path or resources.files("stress.model").joinpath("calibration.json")
    values: dict[str, Any] = json.loads(source.read_text("utf-8"))
    values.update({name: Line(**values[name]) for name in _LINES})
    return Costs(**values)


def write(costs: Costs, path: Path) -> None:
    path.write_text(json.dumps(asdict(costs), indent=2) + "\n", "utf-8")
