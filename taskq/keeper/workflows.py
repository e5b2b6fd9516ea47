"""The keeper's part in workflows: what others have left, and what is over."""

from __future__ import annotations

from pool import clock
from taskq import events
from taskq.store.session import StoreSession
from taskq.store.workflows import BEGIN

#: Seconds between looks while no workflow is open.
IDLE = 20.0
#: Rows that one look takes of each kind.
SOME = 1000
#: Seconds before the last look from which failed steps are looked at again: a transaction that
#: failed one may have committed later than others.
OVERLAP = 60.0


class WorkflowKeeper:
    """Looks after the workflows that have not ended.

    A worker that dies between the end of a step and the release of the next leaves that to this.

    every: seconds between looks while a workflow is open.
    due: when to look next, by ``pool.clock``.
    """

    def __init__(self, session: StoreSession, *, every: float) -> None:
        self._session = session
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
        # At the first look all that failed before, while no keeper was there.
        since = (began - self._looked) / clock.SECOND + OVERLAP
        released = store.settle(since)
        if dropped := store.drop_voided(SOME):
            events.steps_dropped(dropped)
        self._edge = store.void_orphans(self._edge, SOME)
        some = store.open(self._after, SOME)
        self._after = some[-1].id if len(some) == SOME else 0
        if overdue := [each.id for each in some if each.overdue]:
            store.cancel(overdue)
            for id in overdue:
                events.workflow_overdue(id)
        if over := [each.id for each in some if not each.left]:
            store.finish(over)
        self._looked = began
        return bool(released or dropped)
