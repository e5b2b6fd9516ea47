"""The table of schedules, as a keeper reads and writes it over the queue's own connection."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from taskq.schedules.catch_up import MOST, Move, move
from taskq.schedules.entry import Entry
from taskq.sql import Connection
from taskq.sql.statements import ScheduleStatements
from taskq.task.limited_timing import LimitedTiming
from taskq.task.timing import CATCH_UP, UTC, At, CatchUp, Timing, parse
from taskq.values import stored_moment

#: Seconds after its next tick was due, for which a schedule is kept that no pool sends any more.
KEEP = 7 * 86400
_INSTANT = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Stand:
    """A schedule as its row has it. The row may be of another deployment, or typed by hand.

    now: the database's clock. stored: the next tick as the database returns it. start, end: the
        limits of its ticks, as the database returns them.
    """

    id: int
    name: str
    schedule: str
    time_zone: str
    catch_up: str
    stored: datetime.datetime | str
    now: datetime.datetime
    start: str | None = None
    end: str | None = None
    one_off: bool = False

    @cached_property
    def next_at(self) -> datetime.datetime:
        """The next tick. Raises ValueError when no datetime can hold it."""
        return _moment(self.stored)

    @property
    def timing(self) -> LimitedTiming:
        """When its ticks are. Raises ValueError, or another error, if that cannot be read."""
        start, end = (each and _moment(each) for each in (self.start, self.end))
        return LimitedTiming(parse(self.schedule, self.time_zone), start or None, end or None)

    @property
    def wait(self) -> float:
        """Seconds until its next tick. 0 or less when it is due, or when it is no valid time."""
        try:
            return (self.next_at - self.now).total_seconds()
        except ValueError:
            return 0.0

    def move(self, *, most: int = MOST, counted: bool = False) -> Move:
        """What to do when its next tick is due; see :func:`taskq.schedules.catch_up.move`.

        Raises ValueError, or another error, if the row cannot be read.
        """
        if self.catch_up not in CATCH_UP:
            mend = f"give one of {', '.join(CATCH_UP)}"
            raise ValueError(f"catch_up is {self.catch_up!r}: {mend}")
        said = cast(CatchUp, self.catch_up)
        most = 1 if self.one_off else most
        return move(self.timing, self.next_at, self.now, said, most=most, counted=counted)


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

    def look(
        self,
        names: Sequence[str],
        limit: int,
        *,
        late: Sequence[str] = (),
        refused: Iterable[int] = (),
    ) -> list[Stand]:
        """The schedules that are not paused, soonest first: of the code's those of these names, and
        all that a person has made.

        late: names of those that are far behind, to be left out. refused: ids of those that
        this pool could not read, until a person changes them.
        """
        values = {"names": list(names), "late": list(late), "refused": list(refused)}
        return self._look(self._sql.LOOK, values, limit)

    def look_late(self, late: Sequence[str], limit: int) -> list[Stand]:
        """The schedules of these names that are not paused, soonest first."""
        return self._look(self._sql.LOOK_LATE, {"late": list(late), "refused": []}, limit)

    def _look(self, statement: str, values: dict[str, Any], limit: int) -> list[Stand]:
        rows = self._connection.rows(statement, {**values, "limit": limit})
        return [
            Stand(
                *(id, name, schedule, time_zone, catch_up, next_at, _moment(now)),
                *(start, end, bool(one_off)),
            )
            for id, name, schedule, time_zone, catch_up, next_at, now, start, end, one_off in rows
        ]

    def tick(self, moves: Iterable[tuple[Stand, Move]]) -> set[int]:
        """Move schedules on and send their tasks: for each schedule both, or neither.

        Returns the ids of those that had not moved since they were read.
        """
        values = {"moves": json.dumps([_values(*each) for each in moves])}
        *_, moved = self._connection.batch(*((each, values) for each in self._sql.TICK))
        return {id for id, *_ in moved}

    def mark(self, stand: Stand, error: str) -> None:
        """Write to a schedule why it cannot be sent, for a person to read."""
        values = {
            "id": stand.id,
            "expected": str(stand.stored),
            "schedule": stand.schedule,
            "time_zone": stand.time_zone,
            "error": error,
        }
        self._connection.count(self._sql.MARK, values)

    def _save(self, entry: Entry, row: tuple[Any, ...] | None) -> bool:
        """Whether the row is now as it should be. If not, it has moved since it was read."""
        columns, expected = entry.columns(), None
        if row is not None:
            *known, is_code, next_at, _ = row
            if is_code and known == list(columns.values()):
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
            return first_tick(timing, _moment(now))
        *_, is_code, _next_at, _now = row
        if is_code and row[2:4] == (columns["schedule"], columns["time_zone"]):
            return expected
        due = None
        if expected is not None:
            with suppress(ValueError):  # no datetime holds it, so it is no tick
                due = _moment(expected)
        return first_tick(timing, _moment(row[-1]), due)


def first_tick(
    timing: Timing, now: datetime.datetime, due: datetime.datetime | None = None
) -> datetime.datetime | None:
    """The next tick of a schedule that is new, or has new ticks. A single moment that has passed is
    due.

    due: the next tick before the change. If it is due and not yet sent, a tick of the new schedule
        replaces it.
    """
    alone = timing.timing if isinstance(timing, LimitedTiming) else timing
    if isinstance(alone, At):
        return alone.moment
    since = now
    if due is not None:
        with suppress(OverflowError):  # of the year 1
            since = min(since, due - _INSTANT)
    return next(timing.after(since), None)


def _values(stand: Stand, move: Move) -> dict[str, Any]:
    return {
        "id": stand.id,
        "expected": str(stand.stored),
        "schedule": stand.schedule,
        "time_zone": stand.time_zone,
        "end_at": stand.end,
        "one_off": stand.one_off,
        "next": move.next_at and move.next_at.isoformat(),
        "ticks": [tick.isoformat() for tick in move.ticks],
    }


def _moment(stored: datetime.datetime | str) -> datetime.datetime:
    try:
        return stored_moment(stored).astimezone(UTC)
    except OverflowError as error:  # the last hours of the year 9999, in another zone
        raise ValueError(str(error)) from error
