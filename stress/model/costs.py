"""The measured costs of a statement for the database, and of a task for its worker."""

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
    """Costs in seconds. Those of statements are CPU time of their backend.

    renew: by leases renewed. expired: by rows of taskq_worker. claim, finish: by tasks.
    locked: the extra cost of a claim for each locked task that it has to skip.
    retire: of all statements for one dead worker. enqueue, lanes: of one statement.
        lanes: where tasks wait; lanes_idle: where none does.
    flush: from the end of a writing statement until its commit is on disk.
    round_trip: of a statement, beside its CPU time, with the database on this host.
    client_cycle, client_task: CPU time of a worker for each claim-and-finish, and for
        each task in it, without the code of the task.
    backend_kib: memory of one more idle connection.
    made: where it was measured.
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
    """Read a file that :func:`write` made. By default the one in this package."""
    source = path or resources.files("stress.model").joinpath("calibration.json")
    values: dict[str, Any] = json.loads(source.read_text("utf-8"))
    values.update({name: Line(**values[name]) for name in _LINES})
    return Costs(**values)


def write(costs: Costs, path: Path) -> None:
    path.write_text(json.dumps(asdict(costs), indent=2) + "\n", "utf-8")
