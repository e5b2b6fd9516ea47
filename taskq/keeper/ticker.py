"""The keeper's part in periodic tasks: it looks which ones are due, and sends them."""

from __future__ import annotations

import datetime
from functools import partial

from django.db import connections

from pool import clock
from taskq import events, sql
from taskq.database_errors import passes
from taskq.schedules.catch_up import MOST, MOST_IN_ALL, Move
from taskq.schedules.plan import Plan
from taskq.schedules.table import Stand, Table
from taskq.store.refusals import Refusals
from taskq.store.session import StoreSession

#: The most schedules that one statement moves on.
TOGETHER = 50
#: The most ticks that one statement sends, for all schedules that are far behind.
AT_ONCE = 1000
#: Seconds after which one look stops computing ticks. Those of one schedule are always computed.
THOUGHT = 0.1
#: Seconds until the next look if another pool was quicker.
LOOK_AGAIN = 0.1
#: The longest pause between looks, in seconds. A look also finds what people have changed, and
#: costs one query.
LOOK = 5.0


class Ticker:
    """Sends the ticks of the schedules that this pool knows, and of those that people have made.

    due: when to look next, by ``pool.clock``.
    """

    def __init__(self, plan: Plan, session: StoreSession, alias: str) -> None:
        self._plan = plan
        self._session = session
        self._sql = sql.schedules_of(connections[alias].vendor)
        self._refusals = Refusals(session.owner, session.close, limit=LOOK)
        # Only the names: what to send stands in the row, and a newer pool may have written that.
        self._names = [entry.name for entry in plan.entries]
        #: Schedules with more ticks to make up for than one look sends, and their next ticks.
        self._behind: dict[str, datetime.datetime | None] = {}
        #: The names of schedules whose ticks the database refuses.
        self._refused: set[str] = set()
        #: The ids of schedules that cannot be read here. Others may be able to.
        self._unreadable: set[int] = set()
        self.due: float = 0

    def tick(self) -> int:
        """Send the ticks that are due. How many tasks that were. Raises one of DATABASE_ERRORS."""
        if clock.now() < self.due:
            return 0
        table = self._table()
        if not self._plan.written:
            table.synchronize(self._plan.entries)
            self._plan.mark_written()
        # Schedules that are far behind are read after the others, so that these need not wait.
        # Those that are refused are left out until they are tried again: a look reads only some.
        resting = {name for name in self._refused if self._tried_again(name) > clock.now()}
        late = sorted(self._behind.keys() - resting)
        stands = table.look(self._names, TOGETHER, late=[*late, *resting], refused=self._unreadable)
        if late:
            stands += table.look_late(late, TOGETHER)
        looked = clock.now()
        due = [stand for stand in stands if stand.wait <= 0]
        # The least late first: the ticks of the others take longer to compute.
        due.sort(key=lambda stand: -stand.wait)
        moves, more = self._moves(table, due, looked)
        moved = self._tick(moves) if moves else set()
        sent = 0
        for stand, made in moves:
            if stand.id in moved:
                sent += len(made.ticks)
                if made.missed:
                    events.ticks_missed(stand.name, stand.next_at, stand.catch_up)
                if made.passed_over:
                    events.ticks_passed_over(
                        stand.name, stand.next_at, made.passed_over, MOST_IN_ALL
                    )
        wait = 0.0 if more else self._wait(stands, moves, moved, resting)
        self.due = looked + clock.nanoseconds(min(wait, LOOK))
        return sent

    def _table(self) -> Table:
        return Table(self._session.store().connection, self._sql)

    def _moves(
        self, table: Table, due: list[Stand], looked: int
    ) -> tuple[list[tuple[Stand, Move]], bool]:
        """The moves of the schedules that are due, and whether some are left for the next look. The
        keeper has other duties as well, so one look must not take long."""
        most = min(MOST, max(1, AT_ONCE // max(1, len(due))))
        moves: list[tuple[Stand, Move]] = []
        left = due
        while left and (left is due or clock.now() - looked < clock.nanoseconds(THOUGHT)):
            stand, *left = left
            behind = self._behind.pop(stand.name, None)
            if (made := self._move(table, stand, most, behind)) is not None:
                moves.append((stand, made))
                if len(made.ticks) == most and not stand.one_off:
                    self._behind[stand.name] = made.next_at
        return moves, bool(left) or len(moves) >= TOGETHER

    def _move(
        self, table: Table, stand: Stand, most: int, behind: datetime.datetime | None
    ) -> Move | None:
        """The move of one schedule that is due. None if this pool cannot read it: others may.

        behind: the next tick as the last look left it, if the schedule was far behind then.
        """
        try:
            made = stand.move(most=most, counted=stand.next_at == behind)
            self._unreadable.discard(stand.id)
            return made
        except Exception as error:  # a time zone is a file, and opening it may fail in any way
            row = f"next tick {stand.stored}, time zone {stand.time_zone!r}, {stand.schedule!r}"
            if stand.id not in self._unreadable:
                events.schedule_unreadable(stand.name, row, error)
                self._unreadable.add(stand.id)
            said = f"{row}: {events.first_line(error)}"
            self._refusals.do(f"mark schedule {stand.name}", lambda: table.mark(stand, said))
            return None

    def _tick(self, moves: list[tuple[Stand, Move]]) -> set[int]:
        """The ids of the schedules that moved. One that the database refuses stops no other."""
        try:
            return self._table().tick(moves)
        except Exception as error:
            if passes(error):
                raise
        moved: set[int] = set()

        def alone(one: tuple[Stand, Move]) -> None:
            moved.update(self._table().tick([one]))

        for one in moves:
            name = one[0].name
            sent = self._refusals.do(_sending(name), partial(alone, one))
            (self._refused.discard if sent else self._refused.add)(name)
        return moved

    def _tried_again(self, name: str) -> float:
        """When the ticks of a schedule are tried again that the database has refused."""
        return self._refusals.due(_sending(name), 0)

    def _wait(
        self,
        stands: list[Stand],
        moves: list[tuple[Stand, Move]],
        moved: set[int],
        resting: set[str],
    ) -> float:
        """Seconds until the next look. resting: names that this one has left out."""
        waits = [LOOK, *(stand.wait for stand in stands if stand.wait > 0)]
        again = [*resting, *(stand.name for stand, _ in moves if stand.id not in moved)]
        for name in again:
            pause = self._tried_again(name) - clock.now()
            waits.append(max(LOOK_AGAIN, pause / clock.SECOND))
        for stand, made in moves:
            if stand.id in moved and made.next_at is not None:
                waits.append((made.next_at - stand.now).total_seconds())
        return max(0.0, min(waits))


def _sending(name: str) -> str:
    return f"send schedule {name}"
