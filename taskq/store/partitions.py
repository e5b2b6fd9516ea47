"""The partitions of the finished tasks that are kept: made ahead, and dropped when they are over.

Only PostgreSQL has them. A row whose day has no partition is in the default one, and is deleted by
itself, as all rows are on SQLite.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from taskq import sql
from taskq.database_errors import Meaning, meaning
from taskq.sql.statements import PartitionStatements

#: Days after today for whose rows partitions are made ahead.
AHEAD = 2
#: Partitions that are made or dropped in one go: a keeper has other duties.
CHANGES = 10
#: The most rows that are moved to a new partition. Writers would wait too long for more.
MOVED = 10_000


@dataclass(slots=True)
class Tended:
    """What became of the partitions.

    made, dropped: their days. more: some are left, because there were so many.
    busy: the error of one that did not get its lock in time. It ended the work.
    lacking: this role and the table's owner, where this role may not do what is to be done.
    """

    made: list[datetime.date] = field(default_factory=list)
    dropped: list[datetime.date] = field(default_factory=list)
    more: bool = False
    busy: Exception | None = None
    lacking: tuple[str, str] | None = None


class PartitionStore:
    """The part of :class:`taskq.store.tasks.TaskStore` that is about partitions:
    ``store.partitions``. It raises what that raises."""

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.partitions_of(vendor)

    def tend(
        self, lifetimes: Iterable[float], between: Callable[[], None] = lambda: None
    ) -> Tended:
        """Drop the partitions whose day is over. Make those for rows with these lifetimes, in
        seconds, that are written until the day after tomorrow.

        Writers do not wait for long: what gets no lock in time is left for the next time.

        between: called before each change.
        """
        tended = Tended()
        home = self._connection.home
        found = self._connection.rows(self._sql.LOOK, {}) if self._sql and home else []
        if not self._sql or not home or not found:
            return tended
        ((now, may_make, role, owner),) = found
        there = {
            day: bool(may_drop)
            for name, may_drop in self._connection.rows(self._sql.LIST, {})
            if (day := _day_of(name))
        }
        over = sorted(day for day in there if day < _day(now))
        missing = sorted(_days(now, lifetimes) - there.keys())
        if (missing and not may_make) or not all(there[day] for day in over):
            tended.lacking = role, owner
        schema = home.replace("%", "%%")
        work = [(self._make, tended.made, day) for day in missing if may_make]
        work += [(self._drop, tended.dropped, day) for day in over if there[day]]
        for change, changed, day in work:
            tended.more = len(tended.made) + len(tended.dropped) == CHANGES
            if tended.more:
                break
            between()
            try:
                if change(self._sql, schema, day):
                    changed.append(day)
            except Exception as error:
                if meaning(error) is not Meaning.BUSY:
                    raise
                tended.busy = error
                break  # each of them would let the writers wait
        return tended

    def _drop(self, partitions: PartitionStatements, schema: str, day: datetime.date) -> bool:
        with self._connection.transaction():
            self._run(*partitions.LIMITS, partitions.drop(schema, day))
        return True

    def _make(self, partitions: PartitionStatements, schema: str, day: datetime.date) -> bool:
        with self._connection.transaction():
            self._run(*partitions.LIMITS, partitions.lock(schema))
            there = self._connection.rows(partitions.LIST, {})
            values = {"day": day.isoformat(), "limit": MOVED + 1}
            ((strays,),) = self._connection.rows(partitions.STRAYS, values)
            # Another keeper was first, or too many rows would have to be moved.
            if partitions.name_of(day) in dict(there) or strays > MOVED:
                return False
            self._run(*partitions.make(schema, day))
        return True

    def _run(self, *statements: str) -> None:
        for statement in statements:
            self._connection.rows(statement, {})


def _day(moment: float) -> datetime.date:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).date()


def _day_of(partition: str) -> datetime.date | None:
    """The day of a partition. None for one that somebody has made by hand."""
    try:
        return datetime.datetime.strptime(partition, "taskq_finished_%Y%m%d").date()
    except ValueError:
        return None


def _days(now: float, lifetimes: Iterable[float]) -> set[datetime.date]:
    """The days on which the rows will expire that are written from now on."""
    first = {_day(now + lifetime) for lifetime in lifetimes}
    return {day + datetime.timedelta(days=n) for day in first for n in range(AHEAD + 1)}
