"""Writing what a pool has measured: see :mod:`taskq.statistics` for reading it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from taskq import sql
from taskq.sql.statistics import FIGURES, FORGET, HOUR, MINUTE, PRUNE, RECENT
from taskq.task.measures import COLUMNS, End, Figures

_HOUR = datetime.timedelta(hours=1)


class Recent(NamedTuple):
    """A run, as its row has it."""

    task: int
    attempt: int
    name: str
    queue: str
    pool: str
    worker: str
    started_at: datetime.datetime
    seconds: float
    wait: float
    end: int


class StatisticsStore:
    """The tables of figures and of recent runs, over one connection: ``store.statistics``.

    Each method is one transaction, and raises what those of ``TaskStore`` do.
    """

    def __init__(self, connection: sql.Connection) -> None:
        self._connection = connection

    def write_minute(
        self,
        at: datetime.datetime,
        pool: str,
        sums: Mapping[tuple[str, str], Sequence[int]],
    ) -> None:
        """Write what a pool has counted in a minute so far, by name and queue, in place of what it
        wrote for it before."""
        assert all(len(counters) == COLUMNS for counters in sums.values())
        self._connection.batch(
            *(
                (
                    MINUTE,
                    {"at": at, "name": name, "queue": queue, "pool": pool, **_row(counters)},
                )
                for (name, queue), counters in sorted(sums.items())
            )
        )

    def sum_up_hours(self, hours: Iterable[datetime.datetime]) -> None:
        """Write the sums of these hours, from the minutes of all pools."""
        self._connection.batch(*((HOUR, {"at": at, "until": at + _HOUR}) for at in hours))

    def prune(self, step: int, ttl: float | None, limit: int) -> int:
        """Remove rows of a step that are older than so many seconds, None for none, and at most
        ``limit``. Returns how many."""
        if ttl is None:
            return 0
        before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=ttl)
        values = {"step": step, "before": before, "limit": limit}
        return self._connection.count(PRUNE, values)

    def add_recent(self, runs: Iterable[Recent]) -> None:
        self._connection.batch(*((RECENT, run._asdict()) for run in runs))

    def forget_recent(self, *, each: int, notable: int, slow: float) -> int:
        """Keep only so many of the last runs of each name, and so many of those that took at least
        ``slow`` seconds or did not succeed. Returns how many were removed."""
        values = {"each": each, "notable": notable, "slow": slow, "done": int(End.DONE)}
        return self._connection.count(FORGET, values)


def _row(counters: Sequence[int]) -> dict[str, float]:
    figures = Figures.of(counters)
    values = (
        *counters[: len(End)],
        figures.run_seconds,
        figures.wait_seconds,
        *figures.run,
        *figures.wait,
    )
    return dict(zip(FIGURES, values, strict=True))
