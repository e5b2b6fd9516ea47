"""Retiring the leases of dead and expired workers, and saying what became of their tasks.

The life of a lease is drawn at the top of :mod:`taskq.store.leases`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pool import Child, Slot, clock
from pool.backoff import Backoff
from pool.death import BLAMELESS, Death
from taskq import events
from taskq.keeper.losses import Left, Losses, last_runs
from taskq.keeper.lost_runs import LostRuns
from taskq.pool_context import PoolContext, process_name
from taskq.store.endings import Ending, decoded
from taskq.store.keeper_endings import end_for
from taskq.store.leases import Retired
from taskq.store.refusals import NEVER, Refusals
from taskq.store.session import StoreSession

#: The cause of a loss where nothing has died.
UNWRITTEN = "its outcome could not be written: see the log of its pool"
#: The look for missing workers may take one part in so many of the time. It takes long only where
#: an open transaction keeps many dead entries in the index.
MISSING_COST = 100
#: Seconds until a locked task of a dead worker is tried again, at first.
LOCKED = 0.05


class Reclaimer:
    """Reclaims the tasks of this pool's dead workers, and of expired workers of any pool.

    Each lease is retired apart from the others: one that cannot be retired does not stop them.

    between: called between two of many. They can wait, but the leases of the living cannot.
    """

    def __init__(
        self, child: Child, context: PoolContext, session: StoreSession, between: Callable[[], None]
    ) -> None:
        self.child = child
        self.context = context
        self.scoreboard = child.scoreboard
        self.session = session
        self.losses = Losses(context, session)
        self._between = between
        self._lost_runs = LostRuns(child) if context.settings.statistics else None
        self._heartbeat = clock.nanoseconds(context.settings.heartbeat)
        self._lease = clock.nanoseconds(context.settings.lease)
        limit = context.settings.heartbeat
        self._dead_refusals = Refusals(child.name, session.close, limit=limit)
        self._living_refusals = Refusals(child.name, session.close, limit=limit)
        self._expired_refusals = Refusals(child.name, session.close, limit=limit)
        self._dead: dict[Death, Left] = {}
        self._locked = Backoff(first=2 * LOCKED, limit=limit)
        self._dead_again = 0
        self._expired_due = 0
        self.missing_due = 0

    @property
    def expired_due(self) -> int:
        """When to look for expired leases; 0 while the database has not answered."""
        since = self.session.since
        return max(self._expired_due, since + self._heartbeat) if since else 0

    @property
    def dead_due(self) -> float:
        """When to try again for dead workers whose lease could not be retired completely. A new
        death wakes the keeper."""
        return min(
            (self._dead_refusals.due(_ending(each.lease), self._dead_again) for each in self._dead),
            default=NEVER,
        )

    @property
    def living_due(self) -> int:
        """When to try again to retire the lease of a living child, if that was refused."""
        return self._living_refusals.next_due

    def reclaim_dead(self, *, last: bool = False) -> None:
        """Reclaim what dead children held: at once, with the cause of their death.

        last: there is no later; try those again that are left, though they are not due.
        """
        left = list(self._dead) if last or clock.now() >= self._dead_again else []
        unread = self.scoreboard.unread_deaths()
        if unread:
            self._locked.reset()
        for death in left:
            self._reclaim_from(death)
            self._between()
        for number, death in unread:
            if death not in self._dead:  # the database may have gone away since
                slot = self.scoreboard.slots[death.slot]
                done = decoded(slot.finish_log.under(death.lease))
                self._dead[death] = Left(done, self.scoreboard.box(number), last_runs(slot, done))
            self._reclaim_from(death)
            self.scoreboard.acknowledge(number)
            self._between()
        if left or unread:
            pause = max(LOCKED, self._locked.next())
            self._dead_again = clock.now() + clock.nanoseconds(pause)

    def ready_for(self, slot: Slot) -> bool:
        """Whether a child may have a lease. Its slot still has the finish log of the child before
        it, until the death of that one is read."""
        return all(death.slot != slot.index for _, death in self.scoreboard.unread_deaths())

    def reclaim_living(self, lease: int, slot: Slot) -> bool:
        """Retire the lease of a child that needs another, and reclaim its tasks. True once done.

        The child lost track of what it holds, could not write an outcome, or its lease is spent.
        """
        ran = slot.unwritten_task
        cause = UNWRITTEN if ran else "the connection was lost"
        done = decoded(slot.finish_log.under(lease))

        def end() -> None:
            self.retire(lease, ran=ran, charge=ran != 0, cause=cause, done=done)
            slot.lease_generation = 0

        retired = self._living_refusals.do(_ending(lease), end)
        self._between()
        return retired

    def forget_refusals(self) -> None:
        """Forget the refusals for leases that no child has any more: they are retired."""
        self._living_refusals.keep(_ending(slot.held_lease()) for slot in self.scoreboard.living())

    def reclaim_expired(self) -> None:
        """Reclaim the tasks of expired workers, of any pool.

        This waits until the database has answered for one heartbeat. After an outage each pool
        first reclaims from its own dead workers, as only it knows what they ran. The children of
        this pool are left out: the supervisor ends them, and then ``reclaim_dead`` knows the
        cause.
        """
        now = clock.now()
        if not 0 < self.expired_due <= now:
            return
        ours = {slot.held_lease() for slot in self.scoreboard.living()}
        ours |= {death.lease for _, death in self.scoreboard.unread_deaths()}
        ours |= {death.lease for death in self._dead}
        ours.discard(0)  # no lease
        expired = self.session.store().leases.expired()
        others = sorted(expired.keys() - ours)
        self._expired_refusals.keep(_ending(worker) for worker in others)
        for worker in others:
            self._expired_refusals.do(
                _ending(worker), partial(self._reclaim_from_expired, worker, expired[worker])
            )
            self._between()
        self._expired_due = now + self._heartbeat

    def none_expired(self, now: int) -> None:
        """A renewal has looked at ``now``: no lease has run out. So :meth:`reclaim_expired` needs
        no statement of its own."""
        self._expired_due = now + self._heartbeat

    def restore_missing(self) -> None:
        """Give a lease again to workers that hold tasks and have no row. It expires, and the
        tasks are reclaimed, unless the worker is still there and its keeper renews the lease.

        Once in a lease, as it is rarely needed, and an idle pool should send few statements.
        """
        began = clock.now()
        if began < self.missing_due:
            return
        lease = self.context.settings.lease
        if workers := self.session.store().leases.restore_missing(lease):
            events.workers_missing(workers, lease)
        now = clock.now()
        self.missing_due = now + max(self._lease, MISSING_COST * (now - began))

    def retire(
        self,
        lease: int,
        *,
        ran: int | None,
        charge: bool,
        cause: str,
        expired_only: bool = False,
        done: Sequence[Ending] = (),
        death: Death | None = None,
        details: str = "",
    ) -> Retired | None:
        """Retire a lease (see :meth:`taskq.store.leases.LeaseStore.retire`), and log the result.

        done: how runs ended under it that are perhaps not written. They are written first.
        death: the end of the child that held it, if that is known.
        details: what follows the cause in the log.
        """
        db = self.session.store()
        locked = end_for(db, lease, done) if done else set()
        retired = db.leases.retire(
            lease,
            ran=ran,
            charge=charge,
            cause=cause,
            expired_only=expired_only,
            done=done,
            locked=locked,
        )
        if retired is None:
            return None
        if self._lost_runs is not None:
            self._lost_runs.count(retired.tasks, death)
        for task in retired.tasks:
            if task.cancelled:
                events.task_cancelled(task.id, task.name, cause)
            elif task.blamed:
                events.task_lost(
                    task.id, task.name, retired.worker, cause, task.losses, task.failed, details
                )
            if task.failed and not task.cancelled:
                self.child.slot.failed += 1
        if waiting := sum(not task.blamed and not task.cancelled for task in retired.tasks):
            events.tasks_returned(waiting, retired.worker, cause)
        if any(not task.failed for task in retired.tasks):
            self.context.wake_one(self.scoreboard)
        return retired

    def _reclaim_from(self, death: Death) -> None:
        """Retire the lease of a dead child; again later while one of its tasks is locked."""

        def end() -> None:
            left = self._dead[death]
            retired = death.lease and self.retire(
                death.lease,
                ran=death.task_id,
                charge=death.cause not in BLAMELESS,
                cause=str(death),
                done=left.done,
                death=death,
                details=left.details(death),
            )
            if not retired or retired.complete:
                del self._dead[death]
                worker = process_name(self.scoreboard.slots[death.slot])
                ran = retired.ran if retired else None
                self.losses.note_death(death, left, worker, ran)

        self._dead_refusals.do(_ending(death.lease), end)

    def _reclaim_from_expired(self, worker: int, done: Sequence[Ending]) -> None:
        cause = "lease ran out unrenewed"
        retired = self.retire(
            worker,
            ran=None,
            charge=True,
            cause=cause,
            expired_only=True,
            done=done,
        )
        if retired and retired.ran:
            self.losses.note_expired(retired.pool, retired.name, retired.ran, cause)
        if retired and (retired.tasks or retired.complete):  # else what is left is locked
            events.lease_reclaimed(retired.worker, len(retired.tasks))


def _ending(lease: int) -> str:
    return f"retire lease {lease} and reclaim its tasks"
