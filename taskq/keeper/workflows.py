"""The keeper's part in workflows: what others have left, and what is over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pool import clock
from taskq import events
from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning
from taskq.store.session import StoreSession
from taskq.store.workflows import BEGIN, WorkflowStore

#: Seconds between looks while no workflow is open.
IDLE = 20.0
#: Rows that one look takes of each kind.
SOME = 1000
#: Seconds before the last look from which failed steps are looked at again: a transaction that
#: failed one may have committed later than others.
OVERLAP = 60.0
#: The same for the first look: a machine may have failed steps before it was started again.
EVER = 1e9

T = TypeVar("T")


class WorkflowKeeper:
    """Looks after the workflows that have not ended.

    A worker that dies between the end of a step and the release of the next leaves that to this.

    every: seconds between looks while a workflow is open.
    between: called between two statements. They can wait, but leases cannot.
    due: when to look next, by ``pool.clock``.
    """

    def __init__(self, session: StoreSession, *, every: float, between: Callable[[], None]) -> None:
        self._session = session
        self._between = between
        self._every = clock.nanoseconds(every)
        self.due = 0
        self._looked = 0
        self._after = 0
        self._edge = BEGIN

    def look(self) -> None:
        """Look, if it is time."""
        now = clock.now()
        if now < self.due:
            return
        if not self._after and not self._session.store().workflows.open(0, 1):
            self.due = now + clock.nanoseconds(IDLE)
            return
        self.due = now if self.tend() else now + self._every

    def tend(self) -> bool:
        """Release what is left, and remove what is over. Whether there may be more to do at
        once."""
        began = clock.now()
        store = self._session.store().workflows
        since = (began - self._looked) / clock.SECOND + OVERLAP if self._looked else EVER
        if (released := _unless_locked(lambda: store.settle(since))) is not None:
            self._looked = began
        self._between()
        if dropped := _unless_locked(lambda: store.drop_voided(SOME)):
            events.steps_dropped(dropped)
        self._between()
        edge = _unless_locked(lambda: store.void_orphans(self._edge, SOME))
        self._edge = self._edge if edge is None else edge
        self._between()
        some = store.open(self._after, SOME)
        self._after = some[-1].id if len(some) == SOME else 0
        for each in some:
            if each.overdue:  # one by one: somebody may have locked the steps of one for long
                _unless_locked(partial(_cancel, store, each.id))
                self._between()
        if over := [each.id for each in some if not each.left]:
            store.finish(over)
        return bool(released or dropped)


def _cancel(store: WorkflowStore, id: int) -> None:
    store.cancel([id])
    events.workflow_overdue(id)


def _unless_locked(act: Callable[[], T]) -> T | None:
    """What it returns. None if another transaction held a lock: it is done at a later look."""
    try:
        return act()
    except DATABASE_ERRORS as error:
        if meaning(error) is not Meaning.BUSY:
            raise
        return None
