"""The keeper's duty to the finished tasks that are kept: a partition for each day."""

from __future__ import annotations

from collections.abc import Callable, Collection

from pool import clock
from taskq import events
from taskq.store.session import StoreSession

#: Seconds between looks at the partitions.
LOOK_EVERY = 300.0
#: Looks in a row that may find the table busy before a person is told: 10 minutes.
BUSY = 2


class PartitionKeeper:
    """Makes the partitions of taskq_finished ahead, and drops those that are over.

    lifetimes: seconds for which finished tasks are kept, each that there is.
    between: called between two changes. They can wait, but leases cannot.
    due: when to look next, by ``pool.clock``.
    """

    def __init__(
        self, session: StoreSession, lifetimes: Collection[float], *, between: Callable[[], None]
    ) -> None:
        self._session = session
        self._lifetimes = lifetimes
        self._between = between
        self._busy = 0
        self._told = False
        # At once: until there are partitions, all rows go to the default one.
        self.due = clock.now()

    def tend(self) -> None:
        """Look at the partitions, if it is time."""
        if clock.now() < self.due:
            return
        tended = self._session.store().partitions.tend(self._lifetimes, self._between)
        owner = self._session.owner
        if tended.made or tended.dropped:
            events.partitions_changed(owner, tended.made, tended.dropped)
        if tended.lacking is not None and not self._told:
            events.partitions_lacking(owner, *tended.lacking)
            self._told = True
        self._busy = self._busy + 1 if tended.busy else 0
        if tended.busy is not None and self._busy % BUSY == 0:
            events.partitions_busy(owner, tended.busy)
        self.due = clock.now() + (0 if tended.more else clock.nanoseconds(LOOK_EVERY))
