"""If a run takes long and other tasks wait behind it, the keeper gives the waiting tasks back.

The worker cannot do so. Its run may hold the interpreter lock, so that no other thread of it runs,
or its process may be stopped. So the keeper does it while the run goes on. A task that is given
back must not run here as well. Three words of the slot prevent that, and each has a single writer.
The worker writes ``since`` and ``task_id``. The keeper writes ``recalled``.

- The worker begins a run by writing a new ``since``. Only then it reads ``recalled``. If that has
  changed, it does not call the function, and gives back all tasks that wait.
- The keeper writes ``recalled``. SETTLE seconds later it reads what the worker holds, and then
  ``since``. Only if ``since`` is still the same, it gives back the tasks that it has read, except
  for the one that runs and those that are done.

Why no task slips through: take a task that the keeper gave back, and the run that would start it
here. That run writes its ``since`` after the keeper's last look, or the keeper would have seen it
and stopped. So the worker reads ``recalled`` after that look as well, more than SETTLE seconds
after it was written, and does not start. A processor may delay a write or read too early. It does
so by less than a microsecond, or until another process runs on it: SETTLE is 20,000 times as long.
A worker that is halted in between changes nothing: only the order of its reads and writes counts.

Tasks that the worker claims later are not among those that the keeper has read: before each claim
the worker writes another ``since`` (``Recall.before_claim``). Tasks of a claim that was in flight
are given back with the rest. Worker and keeper both name the attempt, so the second of the two to
give a task back touches no row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from pool import Child, Others, Slot, clock
from taskq.pool_context import PoolContext
from taskq.store.endings import decoded
from taskq.store.keeper_endings import end_for
from taskq.store.session import StoreSession

#: Seconds that a run may take while other tasks wait behind it.
OVERRUN = 0.050
#: Seconds between looks. With it, waiting tasks are given back well within a fifth of a second.
LOOK = 0.040
#: Seconds from a recall until the keeper acts on it.
SETTLE = 0.020
#: Once no worker has had a batch for so many seconds, the keeper looks for batches rarely.
CALM = 1.0


@dataclass
class _Recalled:
    """A recall by the keeper: of the tasks that wait behind the run that began at ``since``."""

    lease: int
    since: int
    due: int
    #: Seconds until the keeper gives back again, as a claim may have been in flight. It doubles.
    pause: float = 0.1


class OverrunWatch:
    """Recalls waiting tasks and gives them back. It sends no query while no run takes long, and
    none that writes while all workers are busy with short runs."""

    def __init__(self, child: Child, context: PoolContext, session: StoreSession) -> None:
        self._child = child
        self._context = context
        self._session = session
        self._recalled: dict[int, _Recalled] = {}
        self._last_batch = 0
        self.due = 0

    def look(self) -> None:
        """Recall the tasks that wait behind long runs, and give back those that were recalled."""
        now = clock.now()
        # A keeper that does not watch was woken, perhaps for this.
        if self._child.slot.watches and now < self.due:
            return
        crowded = [slot for slot in self._child.scoreboard.living() if slot.others]
        self._watch(now, bool(crowded))
        self._recalled = {
            slot.index: self._recalled[slot.index]
            for slot in crowded
            if slot.index in self._recalled
        }
        somebody_is_idle = functools.cache(self._somebody_is_idle)  # asked once a look at most
        for slot in crowded:
            self._look_at(slot, now, somebody_is_idle)
        self.due = min([self.due, *(each.due for each in self._recalled.values())])

    def _watch(self, now: int, crowded: bool) -> None:
        """Write whether the keeper watches. If not, a worker that claims a batch wakes it."""
        own = self._child.slot
        if crowded:
            self._last_batch = now
        own.watches = int(now - self._last_batch < clock.nanoseconds(CALM))
        # The next look finds a worker that claimed a batch and still read that the keeper watches.
        self.due = now + clock.nanoseconds(LOOK if own.watches else CALM)

    def _look_at(self, slot: Slot, now: int, somebody_is_idle: Callable[[], bool]) -> None:
        lease, since = slot.held_lease(), slot.since
        found = self._recalled.get(slot.index)
        if found is None or found.since != since or found.lease != lease:
            self._recalled.pop(slot.index, None)
            takes_long = lease and now - since > clock.nanoseconds(OVERRUN)
            # What waits behind a short run stays there while nobody would start it sooner.
            may_stay = slot.others == Others.WAIT_UNLESS_IDLE and slot.asked != slot.generation
            if takes_long and (not may_stay or somebody_is_idle()):
                slot.recalled = since
                due = clock.now() + clock.nanoseconds(SETTLE)
                self._recalled[slot.index] = _Recalled(lease, since, due)
        elif now >= found.due:
            found.due = now + clock.nanoseconds(found.pause)
            found.pause *= 2
            self._give_back(slot, found)

    def _somebody_is_idle(self) -> bool:
        """Whether a worker of this pool sleeps, or another pool, in part at least."""
        if any(self._context.sleepers(self._child.scoreboard)):
            return True
        return self._session.store().leases.another_listens(self._context.pool)

    def _give_back(self, slot: Slot, recalled: _Recalled) -> None:
        db, lease = self._session.store(), recalled.lease
        held = db.held_by(lease)
        # In this order: a run enters the log before it stops being the current one, and a dead
        # child loses its pid before its run.
        running, alive, done = slot.task_id, slot.alive, slot.finish_log.under(lease)
        if not alive or slot.held_lease() != lease or slot.since != recalled.since:
            return
        over = {(run.task, run.attempt) for run in done}
        waiting = [run for run in held if run[0] != running and run not in over]
        if done:
            slot.finish_log.settle()
            end_for(db, lease, decoded(done))
        if waiting and db.give_back(lease, waiting, wait=False):
            self._context.wake_one(self._child.scoreboard)
