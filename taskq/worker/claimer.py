"""Claiming: what a worker does between the end of one batch and the start of the next."""

from __future__ import annotations

import time
from collections.abc import Callable

from pool import Child, State, clock
from taskq.database_errors import DATABASE_ERRORS
from taskq.pool_context import KEEPER, LOOK_TRUSTED, PoolContext
from taskq.store.apart import Refusal, concerns_all
from taskq.store.claims import ClaimRequest, ClaimResult, Lane
from taskq.store.session import StoreSession
from taskq.task.claimed import Claimed, Run
from taskq.task.queues import Queues
from taskq.worker.batch import Batch
from taskq.worker.pace import Pace
from taskq.worker.recall import Recall
from taskq.worker.recorder import Recorder

#: Seconds after which the lanes are looked at again, so that a more urgent one, or
#: another queue of the same priority, does not wait for long. When a look itself takes
#: long, it is taken so seldom that it costs no more than a twentieth of the time; but no more
#: seldom than LOOK_AT_LEAST, or one that was held up would hide for long what is paused since.
LOOK_AGAIN = 0.050
LOOK_COST = 20
LOOK_AT_LEAST = 1.0
#: Seconds from a claim that took all there was to the next look: tasks that come in one by
#: one are claimed together, or each would cost a commit of its own.
REST = 0.005
#: Seconds of work that are left of a batch when the next one is claimed, beside it: longer than
#: a claim takes.
AHEAD = 0.010
#: Characters of arguments in a batch above which the next one is not claimed ahead: an answer
#: that nobody reads yet must fit into the sockets, or its claim stays uncommitted.
AHEAD_MOST = 32 * 1024
#: Seconds that a worker sleeps at most. The keeper wakes it when there is work.
SLEEP = 60.0
#: Seconds at most until a claim that was refused is tried again.
CLAIM_AGAIN = 2.0
#: Seconds: a look that takes longer has much to pass over, and is not taken twice. A commit
#: may be in it, which waits for the disk.
SLOW_LOOK = 0.020


class Claimer:
    """Claims tasks for one worker, from the most urgent lane first, or sleeps."""

    def __init__(
        self,
        child: Child,
        context: PoolContext,
        batch: Batch,
        pace: Pace,
        session: StoreSession,
        recorder: Recorder,
        recall: Recall,
        settle: Callable[[], bool],
    ) -> None:
        self.child = child
        self.context = context
        self.slot = child.slot
        self.batch = batch
        self.pace = pace
        self.session = session
        self.recorder = recorder
        self.recall = recall
        #: Called before a sleep; whether more tasks may run here.
        self._settle = settle
        self._lanes: list[Lane] = []
        self._fresh_until = 0
        self._rest_until = 0
        self._slept = True
        #: Of several who looked for work we are the one too many; who looks rather than we.
        self._left_to_another = False
        self._keeper = child.scoreboard.slots[KEEPER]
        self._before_us = child.scoreboard.slots[KEEPER + 1 : child.slot.index]
        #: Work was there each time, and the lane of the last claim may have more.
        self._busy = self._lane_has_more = False
        #: The last claim brought no large arguments.
        self._small_payloads = True
        self._look_took = 0
        self._refusal = Refusal(child.name, "claim tasks", limit=CLAIM_AGAIN)

    def fetch(self) -> Claimed | None:
        """Claim the next tasks, or sleep until there may be some."""
        self.recorder.tally.tell_when_due()
        try:
            if self.batch.in_doubt or self.lease_is_spent():
                self.recorder.write_finished()
                self.batch.forget_waiting()  # what that has taken in
                self.recall.before_claim()
                self.give_up_lease()
                if not self.batch.in_doubt:
                    return None  # a new lease is there: no more wake-up comes for that
            elif self.collect() or self.claim_anew():
                return self.batch.next()
            if self.child.stopping:
                return None
            self._busy = False
            self.recorder.write_finished()
            self.idle()
            if self._settle():
                self.sleep()
                self._slept = True
        except DATABASE_ERRORS as error:
            time.sleep(self.failed(error))
        return None

    def lease_is_spent(self) -> bool:
        """Whether we hold all that we hold under a lease that is to be given up."""
        lease = self.slot.held_lease()
        return lease != 0 and lease == self.slot.spent_lease == self.batch.lease

    def claim_anew(self) -> bool:
        """Claim with empty hands, unless another does; whether anything came."""
        self.recall.before_claim()
        return not self.leave_to_another() and self.claim_most_urgent()

    def failed(self, error: Exception) -> float:
        """What was sent came back as an error; seconds to wait before the next try."""
        if concerns_all(error):
            # A claim may have been made of which we never heard.
            self.batch.forget_waiting()
            return self.session.lost(error)
        # It was rolled back, be it for a run that goes with it and cannot be written.
        self.recorder.write_one_by_one()
        return self._refusal.came(error)

    def claim_ahead(self, task: Claimed) -> None:
        """Before a run of a batch: begin to claim the next batch, if this one is about to end
        and there is more. The server works at it beside the run."""
        if (
            not (self._lane_has_more and self._small_payloads)
            or self.batch.claims_ahead
            or task.alone
            or not self.pace.is_quick(task.name)
            or self.batch.waiting > self.pace.within(AHEAD)
            or self.child.stopping
        ):
            return
        lanes = self.known_lanes()
        request = self.request_for(lanes[0] if lanes else self.context.queues)
        try:
            self._lane_has_more = self.batch.claim_ahead(self.session.store(), request)
            self._say_that_others_wait()
        except DATABASE_ERRORS as error:
            # The batch is in doubt now. The next fetch() deals with that.
            self.batch.forget_waiting()
            self.session.lost(error)

    def collect(self) -> bool:
        """Have what a reach has claimed; whether it is anything."""
        began = clock.now()
        if (collected := self.batch.collect()) is None:
            return False
        return self.take_in(*collected, began)

    def leave_to_another(self) -> bool:
        """Whether we may as well sleep: tasks come in one by one, and another looks for them.
        Several who do get a few each, at a commit each."""
        rests = clock.now() < self._rest_until
        self._left_to_another = rests and self.context.somebody_looks(self._before_us)
        return self._left_to_another

    def claim_most_urgent(self) -> bool:
        """Claim what is most urgent, wherever it is; whether anything came."""
        if not self.slot.may_start(clock.now()):
            return False
        self.slot.look_began = clock.now()
        try:
            return (
                self.claim_from(self.known_lanes())
                or self.claim_first()
                or self.claim_from(self.look())
            )
        finally:
            self.slot.look_ended = clock.now()

    def sleep(self) -> None:
        """Until woken, or for so long that it costs next to nothing."""
        if self._left_to_another:
            # The claim that we leave it to may be older than what is due. Only one that begins
            # after this sees all of it, or wakes somebody; else we look ourselves.
            self._left_to_another, began = False, clock.now()
            if self.child.wait(LOOK_TRUSTED) or all(
                slot.look_began <= began for slot in self._before_us
            ):
                return
        # With work in sight that others were quicker to claim, or without a good
        # lease, nobody is sure to wake us.
        quiet = not self._lanes and self.slot.may_start(clock.now())
        pause = SLEEP if quiet else self.context.settings.poll
        self.child.wait(min(pause, self.recorder.tally.wait()))

    def look(self) -> list[Lane]:
        """The lanes with due tasks, most urgent first; what is finished is written."""
        self.rest()
        # Idle first, then the look: a wake-up that comes in between finds us idle.
        self.idle()
        began = clock.now()
        lanes, untouched = self.batch.look(self.session.store(), self.context.queues)
        self.recorder.check_untouched(untouched)
        self.looked(began, [lane for lane in lanes if lane.wait <= 0])
        return self._lanes

    def rest(self) -> None:
        """Until tasks that come in one by one have had the time to be some."""
        if (left := self._rest_until - clock.now()) > 0:
            self.child.wait(left / clock.SECOND)

    def looked(self, began: int, lanes: list[Lane]) -> None:
        """These lanes were found by a look that began then."""
        now = clock.now()
        self._lanes, self._look_took = lanes, now - began
        cost = min(LOOK_COST * self._look_took, clock.nanoseconds(LOOK_AT_LEAST))
        self._fresh_until = now + max(clock.nanoseconds(LOOK_AGAIN), cost)
        self.session.answered()

    def known_lanes(self) -> list[Lane]:
        """Those of the last look, while it is fresh."""
        return self._lanes if clock.now() < self._fresh_until else []

    def claim_first(self) -> bool:
        """Claim what is most urgent, without a look at the lanes before: after a sleep, and while
        work keeps coming."""
        likely = self._slept or self._busy
        slow = self._look_took > clock.nanoseconds(SLOW_LOOK)
        if not likely or slow:
            return False
        self.rest()
        return self.prepare() and self.claim(self.context.queues)

    def claim_from(self, lanes: list[Lane]) -> bool:
        """Claim from the most urgent lane that has anything left."""
        return any(self.prepare() and self.claim(lane) for lane in lanes)

    def claim(self, place: Lane | Queues) -> bool:
        """Claim from a lane, or from the most urgent one of these queues; whether anything
        came."""
        began = clock.now()
        result, untouched = self.batch.claim(self.session.store(), self.request_for(place))
        return self.take_in(result, untouched, began)

    def request_for(self, place: Lane | Queues) -> ClaimRequest:
        """As many from there as we run in a while, if they are quick."""
        return ClaimRequest(place, self.pace.limit(), self.pace.quick_names())

    def prepare(self) -> bool:
        """Hold what is claimed under the current lease. False without a good lease, or once the
        worker is told to stop."""
        if self.child.stopping:
            return False
        lease = self.slot.held_lease()
        # Said before the claim: from now on the lease's deadline is enforced.
        self.slot.state = State.BUSY
        if not self.slot.may_start(clock.now()):
            return False
        if self.batch.lease != lease:
            self.recorder.write_finished()  # what was done under the old one
            self.batch.hold_under(lease)
        return True

    def take_in(self, result: ClaimResult, untouched: list[Run], began: int) -> bool:
        """This came of a claim that was waited for since then; whether it is anything."""
        self._refusal.over()
        self.recorder.check_untouched(untouched)
        slept, self._slept = self._slept, False
        if result.lanes is not None:
            self.looked(began, [result.more] if result.more else [])
        self._lane_has_more = result.more is not None
        self._small_payloads = sum(len(task.payload) for task in result.tasks) <= AHEAD_MOST
        # One task alone, after a sleep, is no flow.
        self._busy = self._lane_has_more or not slept
        if not result.tasks:
            return False
        # Said before anyone is woken, who might leave it to us again.
        self.slot.look_ended = clock.now()
        if len(result.tasks) > 1:
            self.slot.since = clock.now()  # none of these has waited yet
            self._say_that_others_wait()
        lanes = len(self._lanes) if result.lanes is None else result.lanes
        # One that is not known to be quick was claimed alone, whatever waits behind it.
        alone = not self.pace.is_quick(result.tasks[0].name)
        if self._lane_has_more or lanes > 1 or alone:
            self.context.wake_one(self.child.scoreboard)  # there may be more
        if not self._lane_has_more:
            self._fresh_until = 0
            if lanes == 1:
                self._rest_until = clock.now() + clock.nanoseconds(REST)
        return True

    def _say_that_others_wait(self) -> None:
        """Have the keeper see to it that they do not wait for long."""
        self.slot.others = 1
        if not self._keeper.watches:
            self._keeper.wake()

    def idle(self) -> None:
        if self.slot.state != State.IDLE:
            self.slot.state = State.IDLE
            self.child.title("idle")

    def give_up_lease(self) -> None:
        """Have the keeper end our lease, as we have lost track of what we hold under it.

        Ending it locks our row, and so waits for a claim that may still be in flight.
        """
        lease = self.slot.held_lease()
        self.idle()
        if not lease or lease != self.batch.lease:
            # It has ended. One that we were given meanwhile is not in doubt.
            self.batch.forget_all()
            self.slot.unwritten_task = 0
            return
        self.slot.doubtful_lease = lease
        self._keeper.wake()
