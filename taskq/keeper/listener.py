"""The keeper's listener: when to ask enqueuers for wake-ups, and hearing them.

NOTIFY serializes the commits of the whole server, so under load a pool does not have
every enqueuer send one, but looks for itself, often.
"""

from __future__ import annotations

from collections import Counter

from pool import clock
from taskq.sql import WORK
from taskq.store.session import StoreSession
from taskq.store.tasks import TaskStore

#: Wake-ups within BURST_WINDOW seconds that make us ask for no more: well below what the
#: commits of a server stand, above what a few workers run of tasks that take long.
MANY_WAKES = 40
BURST_WINDOW = 0.1
#: Seconds without work before we ask again. Where crowds come for nothing (tasks of
#: queues that others serve), twice as many each time, up to CALM_MOST.
CALM = 0.2
CALM_MOST = 5.0
#: Seconds between looks while we ask for none: with work of late, and without.
BUSY_LOOK = 0.01
LAZY_LOOK = 0.05


class Listener:
    """Hears wake-ups on a connection, while ``open`` says so."""

    def __init__(self, session: StoreSession) -> None:
        self.open = False
        self._session = session
        self._wakes: list[int] = []
        self._heard_on: TaskStore | None = None
        self._switched = 0
        self._calm = CALM

    def fileno(self) -> int | None:
        """What turns readable when a wake-up comes; None where it must be asked."""
        return self._session.store().fileno()

    def heard(self, now: int) -> Counter[str]:
        """What the wake-ups since the last call may say; see :meth:`TaskStore.woken`."""
        said = self._listening().woken()
        if said[WORK]:
            self._wakes = [at for at in self._wakes if now - at < clock.nanoseconds(BURST_WINDOW)]
            self._wakes += [now] * min(said[WORK], MANY_WAKES)
        return said

    def should_open(self, now: int, last_work: int) -> bool:
        """Whether to ask for wake-ups: when it is calm, not while they come in crowds."""
        if self.open:
            return len(self._wakes) < MANY_WAKES
        return now - max(last_work, self._switched) > clock.nanoseconds(self._calm)

    def switch(self, now: int, last_work: int) -> None:
        """Open or close; what enqueuers read is for the caller to change."""
        self.open = not self.open
        if self.open:
            self._listening()
        else:
            for_nothing = now - last_work > clock.nanoseconds(CALM)
            self._calm = min(2 * self._calm, CALM_MOST) if for_nothing else CALM
        self._switched = now
        self._wakes.clear()

    def pause(self, now: int, last_work: int) -> float:
        """Seconds between looks while it is closed."""
        return LAZY_LOOK if now - last_work > clock.nanoseconds(CALM) else BUSY_LOOK

    def _listening(self) -> TaskStore:
        """The connection, with LISTEN said on it once. Open or not: a cancel is told to all
        who listen."""
        store = self._session.store()
        if store is not self._heard_on:
            store.listen()
            self._heard_on = store
        return store

    def lost(self) -> None:
        """The database went away, and with it who asked for wake-ups."""
        self.open = False
        self._session.close()
