"""The keeper's listener: when to ask enqueuers for wake-ups, and hearing them.

NOTIFY serializes the commits of the whole server: each waits until the one before is on the disk.
So under load a pool does not have every enqueuer send one, but looks for itself, often.

While a pool listens, it stops when wake-ups come in crowds, or when enqueuers wait for one another.
On a slow disk they do so long before there is a crowd. While it does not listen, it counts its own
runs. With few of them it asks again, though the tasks do not pause. The two limits lie apart, so
that a steady load is on one side of both.
"""

from __future__ import annotations

from collections import Counter

from pool import Scoreboard, clock
from taskq.database_errors import DATABASE_ERRORS
from taskq.pool_context import KEEPER
from taskq.sql import CANCEL, STACK, WORK
from taskq.store.refusals import concerns_all
from taskq.store.session import StoreSession
from taskq.store.tasks import TaskStore

#: Wake-ups within BURST_WINDOW seconds that make us ask for no more: well below what the
#: commits of a server stand, above what a few workers run of tasks that take long.
MANY_WAKES = 40
BURST_WINDOW = 0.1
#: With so many within it, we ask the server every WAITING_LOOK seconds whether commits wait for
#: one another to notify: at least MANY_WAITING. Two that meet by chance are one that waits.
SOME_WAKES = 3
WAITING_LOOK = 0.25
MANY_WAITING = 2
#: Runs within CALM seconds at most with which we ask for wake-ups again: half of MANY_WAKES.
FEW_RUNS = 40
#: Seconds until we ask again. Where we had to stop within SETTLED seconds, twice as many each
#: time, up to CALM_MOST: the crowd came for nothing (tasks of queues that others serve), or the
#: disk is too slow.
CALM = 0.2
CALM_MOST = 5.0
SETTLED = 1.0
#: Seconds between looks while we ask for none: with work of late, and without.
BUSY_LOOK = 0.01
LAZY_LOOK = 0.05


class Listener:
    """Hears wake-ups on a connection, while ``open`` says so."""

    def __init__(self, session: StoreSession, scoreboard: Scoreboard) -> None:
        self._session = session
        self._scoreboard = scoreboard
        self._slot = scoreboard.slots[KEEPER]
        self.open = False
        self._wakes: list[int] = []
        self._heard_on: TaskStore | None = None
        #: Whether wake-ups may have been missed, before LISTEN was said on this connection.
        self._was_deaf = False
        self._opened = 0
        self._ask_again = 0
        self._calm = CALM
        #: While it is closed: since when runs are counted, and how many had begun by then.
        self._since = self._begun_then = 0

    @property
    def open(self) -> bool:
        """Whether it asks for wake-ups. The workers read it too."""
        return bool(self._slot.listens)

    @open.setter
    def open(self, open: bool) -> None:
        self._slot.listens = int(open)

    def fileno(self) -> int | None:
        """What turns readable when a wake-up comes; None where it must be asked."""
        return self._session.store().fileno()

    def heard(self, now: int) -> Counter[str]:
        """What the wake-ups since the last call may say; see :meth:`TaskStore.woken`.

        Before a new connection listens, somebody may have told of a cancel or asked for a stack.
        """
        said = self._listening().woken()
        if self._was_deaf:
            self._was_deaf = False
            said.update((CANCEL, STACK))
        if said[WORK]:
            self._forget_old_wakes(now)
            self._wakes += [now] * min(said[WORK], MANY_WAKES)
        return said

    def should_open(self, now: int, *, work_in_sight: bool) -> bool:
        """Whether to ask for wake-ups.

        work_in_sight: tasks wait, and busy workers will find them without a wake-up.
        """
        if self.open:
            self._forget_old_wakes(now)
            return len(self._wakes) < MANY_WAKES and not self._holds_up_commits(now)
        passed, calm = now - self._since, clock.nanoseconds(CALM)
        if passed <= calm:
            return False
        if self._scoreboard.runs_begun() - self._begun_then > FEW_RUNS * passed / calm:
            self._calm = CALM
            self._count_from(now)
            return False
        return passed > clock.nanoseconds(self._calm) and not work_in_sight

    def switch(self, now: int) -> None:
        """Open or close; what enqueuers read is for the caller to change."""
        self.open = not self.open
        if self.open:
            self._opened = now
            self._listening()
        else:
            settled = now - self._opened > clock.nanoseconds(SETTLED)
            self._calm = CALM if settled else min(2 * self._calm, CALM_MOST)
            self._count_from(now)
        self._wakes.clear()

    def pause(self, now: int, last_work: int, poll: float) -> float:
        """Seconds until the next look, if nothing wakes us. poll: at most so many."""
        if self.open:
            # A transaction that sent its tasks before we asked for wake-ups sends none when it
            # commits. So there are some more looks, ever more rarely.
            return min(poll, max(LAZY_LOOK, (now - self._opened) / clock.SECOND))
        return LAZY_LOOK if now - last_work > clock.nanoseconds(CALM) else BUSY_LOOK

    def _holds_up_commits(self, now: int) -> bool:
        """Whether enqueuers wait for one another because they notify."""
        if len(self._wakes) < SOME_WAKES or now < self._ask_again:
            return False
        self._ask_again = now + clock.nanoseconds(WAITING_LOOK)
        try:
            return self._session.store().leases.notifiers_waiting() >= MANY_WAITING
        except DATABASE_ERRORS as error:
            if concerns_all(error):
                raise
            return False  # the site keeps the server's table of locks to itself

    def _forget_old_wakes(self, now: int) -> None:
        window = clock.nanoseconds(BURST_WINDOW)
        self._wakes = [at for at in self._wakes if now - at < window]

    def _count_from(self, now: int) -> None:
        self._since, self._begun_then = now, self._scoreboard.runs_begun()

    def _listening(self) -> TaskStore:
        """The connection, with LISTEN said on it once. Open or not: a cancel is told to all
        who listen."""
        store = self._session.store()
        if store is not self._heard_on:
            store.listen()
            self._heard_on, self._was_deaf = store, True
        return store

    def lost(self) -> None:
        """The database went away, and with it who asked for wake-ups."""
        self.open = False
        self._session.close()
