"""The options of ``python -m stress chaos``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

#: Seconds that a pool gets after TERM to finish the running tasks.
DRAIN_TIMEOUT = 2.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a run.

    seconds: of load with faults. Draining takes more time after that.
    seed: of the plan of faults.
    faults: names, or ("all",).
    concurrency, lease, heartbeat: of each pool. pools: how many.
    rate: tasks a second that all enqueuers send together, if no fault hinders them.
    database_url: empty for an embedded PostgreSQL server.
    """

    seconds: float = 60.0
    seed: int = 7
    faults: tuple[str, ...] = ("all",)
    concurrency: int = 8
    pools: int = 2
    lease: float = 4.0
    heartbeat: float = 1.0
    rate: float = 40.0
    database_url: str = ""

    @property
    def vendor(self) -> str:
        return "sqlite" if self.database_url.startswith("sqlite") else "postgresql"

    @property
    def own_server(self) -> bool:
        """Whether chaos started the database server, and so may restart, freeze and fill it."""
        return not self.database_url


@dataclass(frozen=True)
class Output:
    """What to keep after the run: reports, and the history with the logs of the pools."""

    json: Path | None = None
    html: Path | None = None
    keep: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--seconds",
        type=float,
        default=Options.seconds,
        help="seconds of load and faults (%(default)g)",
    )
    add("--seed", type=int, default=Options.seed, help="seed of the plan of faults (%(default)s)")
    add(
        "--faults",
        default="all",
        metavar="NAMES",
        help="names with commas between them, see `python -m stress list`; or all (%(default)s)",
    )
    add("-c", "--concurrency", type=int, default=Options.concurrency, help="workers of each pool")
    add("--pools", type=int, default=Options.pools, help="how many pools (%(default)s)")
    add("--lease", type=float, default=Options.lease, help="seconds (%(default)g)")
    add("--heartbeat", type=float, default=Options.heartbeat, help="seconds (%(default)g)")
    add("--rate", type=float, default=Options.rate, help="tasks sent a second (%(default)g)")
    add(
        "--database-url",
        default="",
        metavar="URL",
        help="an empty database to use, postgresql:// or sqlite:/// (default: an "
        "embedded PostgreSQL, which chaos also restarts, freezes and fills)",
    )
    add("--keep", action="store_true", help="keep the history and the logs even if all was right")
    add("--json", type=Path, metavar="FILE", help="write the report to this file")
    add("--html", type=Path, metavar="FILE", help="write a page with a timeline to this file")


def from_arguments(given: argparse.Namespace) -> tuple[Options, Output]:
    """The options of a command line. Raises ValueError for values that no run can have."""
    options = Options(
        seconds=given.seconds,
        seed=given.seed,
        faults=tuple(name.strip() for name in given.faults.split(",") if name.strip()),
        concurrency=given.concurrency,
        pools=given.pools,
        lease=given.lease,
        heartbeat=given.heartbeat,
        rate=given.rate,
        database_url=given.database_url,
    )
    for name in ("seconds", "concurrency", "pools", "lease", "heartbeat", "rate"):
        value = getattr(options, name)
        if value <= 0:
            raise ValueError(f"--{name} is {value:g}: give a number above 0")
    if options.heartbeat > options.lease / 3:
        raise ValueError(
            f"--heartbeat is {options.heartbeat:g}: give at most a third of --lease "
            f"({options.lease:g})"
        )
    if options.database_url and "://" not in options.database_url:
        raise ValueError(
            f"--database-url is {options.database_url!r}: give a URL such as "
            "postgresql://user@host/name or sqlite:////tmp/chaos.sqlite3"
        )
    return options, Output(given.json, given.html, given.keep)
