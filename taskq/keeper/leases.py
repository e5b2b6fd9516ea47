"""Giving leases to the processes of a pool, and renewing them.

In an outage the database may go back to an older state: a standby that lagged was promoted, or a
backup was restored. Then the last commits are gone. So the keeper renews at once after each
reconnect, and with this first renewal it settles three things:

- A lease that is gone ends its work, as with each renewal.
- A run that its worker no longer holds is stopped: another worker may have the task.
- Under the other leases the current run may end, and no other run starts. Tasks that wait in a
  batch may belong to others by now, and finished tasks may still stand under the lease. As soon as
  nothing runs under it, the lease is retired, its tasks are reclaimed, and the worker gets another.
"""

from __future__ import annotations

from pool import Child, Slot, State, clock, kernel
from pool.supervisor import TICK
from taskq import events
from taskq.keeper.listener import Listener
from taskq.keeper.reclaimer import Reclaimer
from taskq.pool_context import PoolContext, process_name
from taskq.store.session import StoreSession
from taskq.task.claimed import Run


class Leases:
    """Gives and renews the leases of one pool.

    keeper: the process that does so. It has a lease too, and holds no task under it.
    reclaimer: retires a lease whose worker needs another.
    listener: what hears wake-ups, if anything does. A new lease of the keeper asks for none.
    """

    def __init__(
        self,
        keeper: Child,
        context: PoolContext,
        session: StoreSession,
        reclaimer: Reclaimer,
        listener: Listener | None,
    ) -> None:
        settings = context.settings
        self._keeper = keeper
        self._context = context
        self._session = session
        self._reclaimer = reclaimer
        self._listener = listener
        self._seconds = settings.lease
        self._lease = clock.nanoseconds(settings.lease)
        self._heartbeat = clock.nanoseconds(settings.heartbeat)
        #: Work must have stopped before others may start it. So this leaves time for a tick of the
        #: supervisor, which enforces the deadline, and for the kill itself.
        self.margin = clock.nanoseconds(max(2 * TICK, settings.lease * 0.05))
        self._due = 0
        #: Whether all is settled since the last outage, or since this keeper started.
        self._settled = False
        #: The server of the last renewal.
        self._server = ""

    @property
    def due(self) -> int:
        return self._due if self._settled else 0

    def deadline(self, asked: int) -> int:
        """When work must have stopped under a lease that was given or renewed at ``asked``."""
        return asked + self._lease - self.margin

    def lost(self) -> None:
        """The connection was lost. The database may come back in an older state."""
        self._settled = False

    def give(self) -> None:
        """Give a lease to each child that is up and has none.

        A child also gets a new one if it lost track of what it holds, or if it runs nothing and its
        lease is spent or has run out. The old lease is retired first.

        A child that is stopped (SIGSTOP) gets none. Its old lease is retired all the same: it may
        have stopped between two runs, where nothing ends it.
        """
        self._reclaimer.forget_refusals()
        newcomers: dict[int, Slot] = {}
        now = clock.now()
        for slot in self._keeper.scoreboard.living():
            lease = slot.held_lease()
            spent = slot.spent_lease == lease or slot.lease_deadline <= now
            over = lease and ((spent and slot.state == State.IDLE) or slot.doubtful_lease == lease)
            if slot.state < State.IDLE or (lease and not over):
                continue
            if not self._reclaimer.ready_for(slot):
                continue
            if over and not self._reclaimer.reclaim_living(lease, slot):
                continue
            if runs(slot):
                newcomers[slot.pid] = slot
        if not newcomers:
            return
        generations = {pid: slot.generation for pid, slot in newcomers.items()}
        processes = [(process_name(slot), pid) for pid, slot in newcomers.items()]
        asked = clock.now()
        context = self._context
        given = self._session.store().leases.give(
            context.pool, context.host, processes, self._seconds, context.queues.written
        )
        for pid, lease in given.items():
            newcomers[pid].grant(lease, generations[pid], self.deadline(asked))
            newcomers[pid].wake()
            if newcomers[pid] is self._keeper.slot and self._listener is not None:
                self._listener.open = False  # enqueuers read this in the row of the lease

    def renew(self) -> None:
        """Extend the leases of all children that are running, by the kernel's word."""
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
            # A pooler has hidden an outage. Begin again at once, as after any outage.
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
        """Extend the leases of these. The server that did so; empty if there was nothing to do."""
        held = {slot.held_lease(): slot for slot in slots}
        asked = clock.now()
        kept, server, expired = self._session.store().leases.renew(list(held), self._seconds)
        if not expired:
            self._reclaimer.none_expired(asked)
        for lease, slot in held.items():
            if slot.held_lease() != lease:
                continue  # the child died meanwhile
            if lease in kept:
                slot.lease_deadline = self.deadline(asked)
                if kept[lease] != slot.pid:
                    slot.spent_lease = lease  # the row was missing, and was restored
            else:
                # The lease was retired. Work under it must stop; an idle child gets another.
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
        held = self._session.store().runs.held(run for _, run in at_work)
        for (lease, run), slot in at_work.items():
            if (lease, run) not in held and (slot.task_id, slot.attempt) == run:
                events.run_taken(run[0], slot.label)
                now = clock.now()
                slot.end_run(*run, soft=now, hard=now)


def runs(slot: Slot) -> bool:
    """Whether a child may have a lease. One that is stopped (SIGSTOP) does no work: its lease
    runs out, and the supervisor kills it."""
    return kernel.is_running(slot.pid)
