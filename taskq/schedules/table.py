"""The table of schedules, as a keeper reads and writes it over the queue's own connection."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from taskq.schedules.catch_up import Move
from taskq.schedules.entries import Entry
from taskq.sql import Connection
from taskq.sql.statements import ScheduleStatements
from taskq.task.timing import UTC, Timing
from taskq.values import stored_moment

#: Seconds after its next tick was due, for which a schedule is kept that no pool sends any more.
KEEP = 7 * 86400
_INSTANT = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Stand:
    """A schedule as its row has it. The row may be of another deployment, or typed by hand.

    now: the database's clock. stored: the next tick as the database returns it.
    """

    id: int
    name: str
    schedule: str
    time_zone: str
    catch_up: str
    stored: datetime.datetime | str
    now: datetime.datetime

    @cached_property
    def next_at(self) -> datetime.datetime:
        """The next tick. Raises ValueError when no datetime can hold it."""
        return _moment(self.stored)

    @property
    def wait(self) -> float:
        """Seconds until its next tick. 0 or less when it is due, or when it is no valid time."""
        try:
            return (self.next_at - self.now).total_seconds()
        except ValueError:
            return 0.0


class Table:
    """Reads and writes the rows. Raises django.db's or the driver's errors when the database is
    away."""

    def __init__(self, connection: Connection, statements: ScheduleStatements) -> None:
        self._connection = connection
        self._sql = statements

    def synchronize(self, entries: Iterable[Entry]) -> None:
        """Write what the code and the settings say. A pause stays, and so does the next tick,
        unless the schedule's ticks have changed.

        A row is removed when no pool has sent its ticks for a week.
        """
        wanted = {entry.name: entry for entry in entries}
        names = sorted(wanted)
        while wanted:
            rows = self._connection.rows(self._sql.READ, {"names": names})
            stored = {str(row[0]): row for row in rows}
            for name, entry in list(wanted.items()):
                if self._save(entry, stored.get(name)):
                    del wanted[name]
        self._connection.count(self._sql.FORGET, {"names": names, "seconds": KEEP})

    def look(self, names: Sequence[str], limit: int) -> list[Stand]:
        """The schedules of these names that are not paused, soonest first."""
        rows = self._connection.rows(self._sql.LOOK, {"names": list(names), "limit": limit})
        return [
            Stand(id, name, schedule, time_zone, catch_up, next_at, _moment(now))
            for id, name, schedule, time_zone, catch_up, next_at, now in rows
        ]

    def tick(self, moves: Iterable[tuple[Stand, Move]]) -> set[int]:
        """Move schedules on and send their tasks: for each schedule both, or neither.

        Returns the ids of those that had not moved since they were read.
        """
        values = {"moves": json.dumps([_values(*each) for each in moves])}
        *_, moved = self._connection.batch(*((each, values) for each in self._sql.TICK))
        return {id for id, *_ in moved}

    def _save(self, entry: Entry, row: tuple[Any, ...] | None) -> bool:
        """Whether the row is now as it should be. If not, it has moved since it was read."""
        columns, expected = entry.columns(), None
        if row is not None:
            *known, next_at, _ = row
            if known == list(columns.values()):
                return True
            expected = next_at
        next_at = self._first(entry.timing, columns, row, expected)
        values = {**columns, "next_at": next_at, "expected": expected}
        return len(self._connection.rows(self._sql.SAVE, values)) == 1

    def _first(
        self,
        timing: Timing,
        columns: dict[str, Any],
        row: tuple[Any, ...] | None,
        expected: str | None,
    ) -> datetime.datetime | str | None:
        """The next tick to write."""
        if row is None:
            ((now,),) = self._connection.rows(self._sql.NOW, {})
            return next(timing.after(_moment(now)), None)
        if row[2:4] == (columns["schedule"], columns["time_zone"]):
            return expected
        # A tick that is due and not yet sent is replaced by a tick of the new schedule.
        since = _moment(row[-1])
        if expected is not None:
            with suppress(ValueError, OverflowError):  # no datetime holds it, so it is no tick
                since = min(since, _moment(expected) - _INSTANT)
        return next(timing.after(since), None)


def _values(stand: Stand, move: Move) -> dict[str, Any]:
    return {
        "id": stand.id,
        "expected": str(stand.stored),
        "schedule": stand.schedule,
        "time_zone": stand.time_zone,
        "next": move.next_at and move.next_at.isoformat(),
        "ticks": [tick.isoformat() for tick in move.ticks],
    }


def _moment(stored: datetime.datetime | str) -> datetime.datetime:
    try:
        return stored_moment(stored).astimezone(UTC)
    except OverflowError as error:  # the last hours of the year 9999, in another zone
        raise ValueError(str(error)) from error
