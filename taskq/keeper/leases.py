"""Renewing the leases of a pool's own processes, and what they hold after an outage.

An outage may have been more than that: a standby that lagged was promoted, or a backup restored.
Then the database knows nothing of what was committed last. So the first renewal after each
reconnect is made at once, and with it three things are settled:

- A lease that is gone ends its work, as with each renewal.
- A run that is no longer its worker's is stopped: others may have it.
- Under the other leases what runs may end, and nothing starts any more: what waits in a batch may
  be others' by now, and the database may still have under them what is done. As soon as nothing
  runs under it, a lease is given up with all that it holds, and the worker gets another.
"""

from __future__ import annotations

from pool import Child, Slot, State, clock, kernel
from pool.supervisor import TICK
from taskq import events
from taskq.conf import Settings
from taskq.store.session import StoreSession
from taskq.task.claimed import Run


class Renewer:
    """The part of a keeper that renews. keeper: itself; nothing is held under its own lease."""

    def __init__(self, keeper: Child, session: StoreSession, settings: Settings) -> None:
        self._keeper = keeper
        self._session = session
        self._seconds = settings.lease
        self._lease = clock.nanoseconds(settings.lease)
        self._heartbeat = clock.nanoseconds(settings.heartbeat)
        #: Work must have stopped before others may start it: a tick of the supervisor,
        #: which enforces the deadline, and something for the kill itself.
        self.margin = clock.nanoseconds(max(2 * TICK, settings.lease * 0.05))
        self._due = 0
        #: Since the last outage, or since there is this keeper, all is settled.
        self._settled = False
        #: The server of the last renewal.
        self._server = ""

    @property
    def due(self) -> int:
        return self._due if self._settled else 0

    def deadline(self, asked: int) -> int:
        """When the work must have stopped under a lease that was asked for at this time."""
        return asked + self._lease - self.margin

    def lost(self) -> None:
        """The database went away. Whatever comes back may know less than it did."""
        self._settled = False

    def renew(self) -> None:
        """Extend the leases of all children that the kernel says are alive."""
        now = clock.now()
        if now < self.due:
            return
        living = [slot for slot in self._keeper.scoreboard.living() if slot.held_lease()]
        if not self._settled:
            for slot in living:
                if slot is not self._keeper.slot:
                    slot.spent_lease = slot.held_lease()
        server = self._extend([slot for slot in living if runs(slot)])
        known, self._server = self._server, server or self._server
        if self._settled and known and known != self._server:
            # A pooler has hidden an outage from us: from the beginning, at once.
            self._settled = False
            return
        if not self._settled:
            self._stop_lost_runs(living)
        late = now - self._due
        if self._due and late > self._heartbeat / 2:
            left = self._lease - self._heartbeat - late
            events.renewal_late(late / clock.SECOND, left / clock.SECOND)
        self._due = now + self._heartbeat
        self._settled = True

    def _extend(self, slots: list[Slot]) -> str:
        """Which server has done it; nothing where there was nothing to do."""
        held = {slot.held_lease(): slot for slot in slots}
        asked = clock.now()
        kept, server = self._session.store().leases.renew(list(held), self._seconds)
        for lease, slot in held.items():
            if slot.held_lease() != lease:
                continue  # it died meanwhile
            if lease in kept:
                slot.lease_deadline = self.deadline(asked)
                if kept[lease] != slot.pid:
                    slot.spent_lease = lease  # its row was gone, and put back for it
            else:
                # It was taken over. Work under it must stop; an idle child gets another.
                slot.lease_deadline = 1
                if slot.state == State.IDLE:
                    slot.lease_generation = 0
        return server

    def _stop_lost_runs(self, slots: list[Slot]) -> None:
        at_work: dict[tuple[int, Run], Slot] = {}
        for slot in slots:
            task, attempt = slot.task_id, slot.attempt
            if task and task == slot.task_id:
                at_work[slot.held_lease(), (task, attempt)] = slot
        if not at_work:
            return
        held = self._session.store().held(run for _, run in at_work)
        for (lease, run), slot in at_work.items():
            if (lease, run) not in held and (slot.task_id, slot.attempt) == run:
                events.run_taken(run[0], slot.label)
                now = clock.now()
                slot.end_run(*run, soft=now, hard=now)


def runs(slot: Slot) -> bool:
    """Whether to vouch for a child. One that is stopped (SIGSTOP) does no work: its lease
    runs out, and the supervisor kills it."""
    return kernel.is_running(slot.pid)
