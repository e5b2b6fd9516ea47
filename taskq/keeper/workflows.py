"""The keeper's part in workflows: what others have left, and what is over.

Each thing is done for many rows together. What the database refuses then is done for each of them
by itself: one step, or one workflow, never stops another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar

from pool import clock
from taskq import events
from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning
from taskq.store.refusals import LIMIT, Refusals
from taskq.store.session import StoreSession
from taskq.store.workflows import BEGIN, FIRST, WorkflowStore

#: Seconds between looks while no workflow is open.
IDLE = 20.0
#: Rows that one look takes of each kind.
SOME = 1000
#: Seconds before the last look from which failed steps are looked at again: a transaction that
#: failed one may have committed later than others.
OVERLAP = 60.0
#: The same for the first look: a machine may have failed steps before it was started again.
EVER = 1e9

_SETTLE, _TELL = "release steps", "tell steps of failures"

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
        self._refusals = self._new_refusals()
        #: The same by what is done, for single rows.
        self._apart: dict[str, Refusals] = {}
        self.due = 0
        self._looked = 0
        # Where the next look begins, as one takes only some.
        self._after = 0
        self._edge = BEGIN
        self._left = self._voided = FIRST

    def look(self) -> None:
        """Look, if it is time."""
        now = clock.now()
        if now < self.due:
            return
        if not self._after and not self._store.open(0, 1):
            self.due = now + clock.nanoseconds(IDLE)
            return
        self.due = now if self.tend() else now + self._every

    def tend(self) -> bool:
        """Release what is left, and remove what is over. Whether there may be more to do at
        once."""
        released = self._settle()
        self._between()
        dropped = self._drop_voided()
        self._between()
        self._walk()
        self._between()
        self._end()
        return bool(released or dropped)

    @property
    def _store(self) -> WorkflowStore:
        return self._session.store().workflows

    def _settle(self) -> bool:
        """Tell of failures, and release what was left. Whether anything was released."""
        began = clock.now()
        since = (began - self._looked) / clock.SECOND + OVERLAP if self._looked else EVER
        released = self._try(self._refusals, _SETTLE, lambda: self._store.settle(since))
        told: object = released
        if self._refusals.refused(_SETTLE):
            told = self._try(self._refusals, _TELL, lambda: self._store.tell_failures(since))
            steps = self._store.left(self._left, SOME)
            self._left = _next(steps)
            released = sum(self._each("release", steps, lambda ids: self._store.release_steps(ids)))
        if told is not None:
            self._looked = began
        return bool(released)

    def _drop_voided(self) -> bool:
        """Drop the steps that can never be released. Whether there were any."""
        steps = self._store.with_voids(self._voided, SOME)
        found = self._some("drop", steps, lambda ids: self._store.drop_voided(ids))
        if found is not None:
            self._voided = _next(steps)
        if dropped := list(chain.from_iterable(found or ())):
            events.steps_dropped(dropped)
        return bool(dropped)

    def _walk(self) -> None:
        """Look at some edges whose parts or steps may be gone."""
        found = self._store.walk(self._edge, SOME)
        done = (
            self._some("void what waits for", found.orphans, lambda ids: self._store.void(ids)),
            self._some("tell of the failure of", found.failed, lambda ids: self._store.tell(ids)),
            self._some("forget the edges of", found.gone, lambda ids: self._store.forget(ids)),
        )
        if None not in done:  # else somebody holds a lock
            self._edge = found.next

    def _end(self) -> None:
        """Cancel some workflows whose deadline is over, and note the ends of others."""
        some = self._store.open(self._after, SOME)
        self._after = some[-1].id if len(some) == SOME else 0
        # One by one: somebody may have locked the steps of one for long.
        self._each("cancel workflow", [each.id for each in some if each.overdue], self._cancel)
        over = [each.id for each in some if not each.left]
        self._some("note the end of workflow", over, lambda ids: self._store.finish(ids))

    def _cancel(self, ids: Sequence[int]) -> None:
        self._store.cancel(ids)
        for id in ids:
            events.workflow_overdue(id)

    def _some(
        self, what: str, ids: Sequence[int], act: Callable[[Sequence[int]], T]
    ) -> list[T] | None:
        """Act on these together, or where that is refused on each by itself. What each call
        returned; None if another transaction held a lock."""
        if not ids:
            return []
        together = f"{what} some"
        found = self._try(self._refusals, together, lambda: [act(ids)])
        if self._refusals.refused(together):
            return self._each(what, ids, act)
        self._apart.pop(what, None)
        return found

    def _each(self, what: str, ids: Sequence[int], act: Callable[[Sequence[int]], T]) -> list[T]:
        """Act on each of these by itself. What the calls returned that were not refused."""
        refusals = self._apart.setdefault(what, self._new_refusals())
        found: list[T] = []
        for id in ids:
            result = self._try(refusals, f"{what} #{id}", partial(act, [id]))
            if result is not None:
                found.append(result)
            self._between()
        return found

    def _try(self, refusals: Refusals, what: str, act: Callable[[], T]) -> T | None:
        """What it returns. None if another transaction held a lock, or if the database refuses it:
        it is done at a later look."""
        found: list[T | None] = []
        refusals.do(what, lambda: found.append(_unless_locked(act)))
        return found[0] if found else None

    def _new_refusals(self) -> Refusals:
        return Refusals(self._session.owner, self._session.close, limit=LIMIT)


def _next(steps: Sequence[int]) -> int:
    """The step after which the next look begins."""
    return steps[-1] if len(steps) == SOME else FIRST


def _unless_locked(act: Callable[[], T]) -> T | None:
    """What it returns. None if another transaction held a lock: it is done at a later look."""
    try:
        return act()
    except DATABASE_ERRORS as error:
        if meaning(error) is not Meaning.BUSY:
            raise
        return None
