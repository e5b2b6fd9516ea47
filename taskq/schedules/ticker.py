"""The keeper's part in periodic tasks: to look when one is due, and to send it."""

from __future__ import annotations

import mmap
from functools import partial
from typing import cast

from django.db import connections

from pool import clock
from taskq import events, sql
from taskq.apart import Apart
from taskq.database_errors import passes
from taskq.link import Link
from taskq.schedules.entries import Entry
from taskq.schedules.moves import CATCH_UP, CatchUp, Move, move
from taskq.schedules.table import Stand, Table
from taskq.schedules.timing import parse

#: Schedules that one statement moves on.
TOGETHER = 50
#: Seconds until the next look where another pool was quicker.
LOOK_AGAIN = 0.1


class Plan:
    """What a pool is to send periodically; made before the fork.

    ``written`` outlives the keeper that says so: a new one of an old pool must not put its
    version back over that of a pool that started later.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self._shared = mmap.mmap(-1, 1)

    @property
    def written(self) -> bool:
        return self._shared[0] != 0

    def mark_written(self) -> None:
        self._shared[0] = 1


class Ticker:
    """Sends the ticks of the schedules that this pool knows.

    due: when to look next, by ``pool.clock``; without schedules never.
    heartbeat: seconds between looks at most, to see what others have changed.
    """

    def __init__(self, plan: Plan, link: Link, alias: str, heartbeat: float) -> None:
        self._plan = plan
        self._link = link
        self._sql = sql.schedules_of(connections[alias].vendor)
        self._heartbeat = heartbeat
        self._apart = Apart(link.owner, link.close, limit=heartbeat)
        # By name: the row says what to send, as a pool that started later has written it.
        self._names = [entry.name for entry in plan.entries]
        self.due: float = 0 if self._names else float("inf")

    def tick(self) -> int:
        """Send what is due; how many tasks. Raises one of DATABASE_ERRORS."""
        if clock.now() < self.due:
            return 0
        table = self._table()
        if not self._plan.written:
            table.synchronise(self._plan.entries)
            self._plan.mark_written()
        stands = table.look(self._names, TOGETHER)
        looked = clock.now()
        moves = [
            (stand, made)
            for stand in stands
            if self._apart.due(_sending(stand), 0) <= looked
            and (made := self._move(stand)) is not None
        ]
        moved = self._tick(moves) if moves else set()
        sent = 0
        for stand, made in moves:
            if stand.id in moved:
                sent += len(made.ticks)
                if made.missed:
                    events.ticks_missed(stand.name, stand.next_at, stand.catch_up)
        wait = self._wait(stands, moves, moved)
        self.due = looked + clock.nanoseconds(min(wait, self._heartbeat))
        return sent

    def _table(self) -> Table:
        return Table(self._link.leases().connection, self._sql)

    def _move(self, stand: Stand) -> Move | None:
        """None for one that is not due, or that our code cannot read: others can."""
        if stand.wait > 0:
            return None
        try:
            timing = parse(stand.schedule, stand.time_zone)
            return move(timing, stand.next_at, stand.now, _catch_up(stand.catch_up))
        except Exception as error:  # a time zone is a file: to open it may fail in any way
            row = f"next tick {stand.stored}, time zone {stand.time_zone!r}, {stand.schedule!r}"
            events.schedule_unreadable(stand.name, row, error)
            self._names.remove(stand.name)
            return None

    def _tick(self, moves: list[tuple[Stand, Move]]) -> set[int]:
        """The ids of those that moved. What the database refuses of one does not keep others."""
        try:
            return self._table().tick(moves)
        except Exception as error:
            if passes(error):
                raise
        moved: set[int] = set()

        def alone(one: tuple[Stand, Move]) -> None:
            moved.update(self._table().tick([one]))

        for one in moves:
            self._apart.do(_sending(one[0]), partial(alone, one))
        return moved

    def _wait(self, stands: list[Stand], moves: list[tuple[Stand, Move]], moved: set[int]) -> float:
        """Seconds until the next look."""
        if len(moves) == TOGETHER:
            return 0.0
        waits = [self._heartbeat, *(stand.wait for stand in stands if stand.wait > 0)]
        for stand, made in moves:
            if stand.id not in moved:
                refused = self._apart.due(_sending(stand), 0) - clock.now()
                waits.append(max(LOOK_AGAIN, refused / clock.SECOND))
            elif made.next_at is not None:
                waits.append((made.next_at - stand.now).total_seconds())
        return max(0.0, min(waits))


def _sending(stand: Stand) -> str:
    return f"send schedule {stand.name}"


def _catch_up(said: str) -> CatchUp:
    if said in CATCH_UP:
        return cast(CatchUp, said)
    raise ValueError(f"catch_up is {said!r}: give one of {', '.join(CATCH_UP)}")
