"""A run that takes long while others wait behind it: what waits is given back, from outside.

The worker cannot do it. Its run may hold the interpreter's lock, so that no thread of it runs, or
its process may be stopped. So the keeper does, while that run goes on. No task may be given back
and run here all the same. Three words of the slot see to that, each with a single writer:
``since`` and ``task_id`` are the worker's, ``recalled`` is the keeper's.

- The worker begins a run by writing a new ``since``. Only after that it reads ``recalled``. If that
  has changed, it does not call the function, but gives back all that waits.
- The keeper writes ``recalled``. SETTLE seconds later it reads what the worker holds, and after
  that ``since``. Only if that is still the same, it gives back what it has read, but for what
  runs and what is done.

Take a task that the keeper has given back, and the run that would start it here. That run writes
its ``since`` after the keeper's last look, or the keeper would have seen it and left off. So the
worker reads ``recalled`` after that look too, SETTLE seconds after it was written, and does
not start. A processor may delay a write, or read too early, but by less than a microsecond, or
until another process runs on it: SETTLE is 20,000 times as long. A worker that is halted anywhere
in between makes no difference: what counts is the order in which it reads and writes.

What the worker claims after that was not in what the keeper has read: before it claims it writes
another ``since`` (``Recall.before_claim``). What was on its way is given back with the rest.
And both name the attempt: of the worker and the keeper, whoever comes second touches no row.
"""

from __future__ import annotations

from dataclasses import dataclass

from pool import Child, Slot, clock
from taskq.pool_context import PoolContext
from taskq.store.finishing import finish_for
from taskq.store.session import StoreSession

#: Seconds that a run may take while others wait behind it.
OVERRUN = 0.050
#: Seconds between looks at it. What waits is given back well before a fifth of a second is over.
LOOK = 0.040
#: Seconds from a recall until it is acted upon.
SETTLE = 0.020
#: Seconds without a batch anywhere after which batches are no longer looked for.
CALM = 1.0


@dataclass
class _Recalled:
    """A recall that the keeper has made: of what waits behind the run that began then."""

    lease: int
    since: int
    due: int
    #: Seconds until it is done again, twice as long each time: a claim may have been on its way.
    pause: float = 0.1


class OverrunWatch:
    """Recalls and gives back. Costs no query while no run takes long."""

    def __init__(self, child: Child, context: PoolContext, session: StoreSession) -> None:
        self._child = child
        self._context = context
        self._session = session
        self._recalled: dict[int, _Recalled] = {}
        self._last_batch = 0
        self.due = 0

    def look(self) -> None:
        """Recall what waits behind runs that take long, and give back what was recalled."""
        now = clock.now()
        # One that does not watch was woken, perhaps for this.
        if self._child.slot.watches and now < self.due:
            return
        crowded = [slot for slot in self._child.scoreboard.living() if slot.others]
        self._watch(now, bool(crowded))
        self._recalled = {
            slot.index: self._recalled[slot.index]
            for slot in crowded
            if slot.index in self._recalled
        }
        for slot in crowded:
            self._look_at(slot, now)
        self.due = min([self.due, *(each.due for each in self._recalled.values())])

    def _watch(self, now: int, crowded: bool) -> None:
        """Say whether a worker with a batch is to wake us for it."""
        own = self._child.slot
        if crowded:
            self._last_batch = now
        own.watches = int(now - self._last_batch < clock.nanoseconds(CALM))
        # One that has a batch since and has read that we watch is seen the next time.
        self.due = now + clock.nanoseconds(LOOK if own.watches else CALM)

    def _look_at(self, slot: Slot, now: int) -> None:
        lease, since = slot.held_lease(), slot.since
        found = self._recalled.get(slot.index)
        if found is None or found.since != since or found.lease != lease:
            self._recalled.pop(slot.index, None)
            if lease and now - since > clock.nanoseconds(OVERRUN):
                slot.recalled = since
                due = clock.now() + clock.nanoseconds(SETTLE)
                self._recalled[slot.index] = _Recalled(lease, since, due)
        elif now >= found.due:
            found.due = now + clock.nanoseconds(found.pause)
            found.pause *= 2
            self._give_back(slot, found)

    def _give_back(self, slot: Slot, recalled: _Recalled) -> None:
        db, lease = self._session.store(), recalled.lease
        held = db.held_by(lease)
        # In this order: a run is in the log before it is no longer the one in progress, and a child
        # that is dead has no pid before it has no run.
        running, alive, done = slot.task_id, slot.alive, slot.finish_log.under(lease)
        if not alive or slot.held_lease() != lease or slot.since != recalled.since:
            return
        waiting = [run for run in held if run[0] != running and run not in done]
        if done:
            slot.finish_log.settle()
            finish_for(db, lease, done)
        if waiting and db.give_back(lease, waiting, wait=False):
            self._context.wake_one(self._child.scoreboard)
