"""Claiming: what a worker does between the end of one batch and the start of the next."""

from __future__ import annotations

import time
from collections.abc import Callable

from pool import Child, State, clock
from taskq.database_errors import DATABASE_ERRORS
from taskq.pool_context import KEEPER, LOOKOUT, Service
from taskq.store.apart import Refusal, concerns_all
from taskq.store.claims import Haul, Lane, Wanted
from taskq.store.session import Link
from taskq.task.claimed import Claimed, Run
from taskq.task.queues import Queues
from taskq.worker.batch import Hand
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
REACH = 0.010
#: Characters of arguments in a batch above which the next one is not claimed ahead: an answer
#: that nobody reads yet must fit into the sockets, or its claim stays uncommitted.
REACH_MOST = 32 * 1024
#: Seconds that a worker sleeps at most. The keeper wakes it when there is work.
SLEEP = 60.0
#: Seconds at most until a claim that was refused is tried again.
CLAIM_AGAIN = 2.0
#: Seconds: a look that takes longer has much to pass over, and is not taken twice. A commit
#: may be in it, which waits for the disk.
SLOW_LOOK = 0.020


class Claimer:
    """Claims for the hand of one worker, from the most urgent lane first, or sleeps."""

    def __init__(
        self,
        child: Child,
        service: Service,
        hand: Hand,
        pace: Pace,
        link: Link,
        recorder: Recorder,
        recall: Recall,
        settle: Callable[[], bool],
    ) -> None:
        self.child = child
        self.service = service
        self.slot = child.slot
        self.hand = hand
        self.pace = pace
        self.link = link
        self.recorder = recorder
        self.recall = recall
        #: Called before a sleep; whether more tasks may run here.
        self._settle = settle
        self._lanes: list[Lane] = []
        self._stale = 0
        self._rest_until = 0
        self._slept = True
        #: Of several who looked for work we are the one too many; who looks rather than we.
        self._spared = False
        self._keeper = child.scoreboard.slots[KEEPER]
        self._before_us = child.scoreboard.slots[KEEPER + 1 : child.slot.index]
        #: Work was there each time, and the lane of the last claim may have more.
        self._flows = self._more = False
        #: The last claim brought no large arguments.
        self._light = True
        self._look_took = 0
        self._refusal = Refusal(child.name, "claim tasks", limit=CLAIM_AGAIN)

    def fetch(self) -> Claimed | None:
        """Claim the next tasks, or sleep until there may be some."""
        self.recorder.tally.tell_when_due()
        try:
            if self.hand.in_doubt or self.spent():
                self.recorder.write_finished()
                self.hand.drop()  # what that has taken in
                self.recall.nothing_waits()
                self.disown()
                if not self.hand.in_doubt:
                    return None  # a new lease is there: no more wake-up comes for that
            elif self.grasp() or self.claim_anew():
                return self.hand.take()
            if self.child.stopping:
                return None
            self._flows = False
            self.recorder.write_finished()
            self.idle()
            if self._settle():
                self.sleep()
                self._slept = True
        except DATABASE_ERRORS as error:
            time.sleep(self.failed(error))
        return None

    def spent(self) -> bool:
        """Whether we hold all that we hold under a lease that is to be given up."""
        lease = self.slot.held_lease()
        return lease != 0 and lease == self.slot.spent_lease == self.hand.lease

    def claim_anew(self) -> bool:
        """Claim with empty hands, unless another does; whether anything came."""
        self.recall.nothing_waits()
        return not self.spare() and self.find()

    def failed(self, error: Exception) -> float:
        """What was sent came back as an error; seconds to wait before the next try."""
        if concerns_all(error):
            # A claim may have been made of which we never heard.
            self.hand.drop()
            return self.link.lost(error)
        # It was rolled back, be it for a run that goes with it and cannot be written.
        self.recorder.write_apart()
        return self._refusal.came(error)

    def reach(self, task: Claimed) -> None:
        """Before a run of a batch: begin to claim the next batch, if this one is about to end
        and there is more. The server works at it beside the run."""
        if (
            not (self._more and self._light)
            or self.hand.reaching
            or task.alone
            or not self.pace.is_quick(task.name)
            or self.hand.waiting > self.pace.within(REACH)
            or self.child.stopping
        ):
            return
        lanes = self.known_lanes()
        wanted = self.wanted(lanes[0] if lanes else self.service.queues)
        try:
            self._more = self.hand.reach(self.link.leases(), wanted)
            self._say_that_others_wait()
        except DATABASE_ERRORS as error:
            # The hand is in doubt now: that is seen to after this run.
            self.hand.drop()
            self.link.lost(error)

    def grasp(self) -> bool:
        """Have what a reach has claimed; whether it is anything."""
        began = clock.now()
        if (grasped := self.hand.grasp()) is None:
            return False
        return self.came(*grasped, began)

    def spare(self) -> bool:
        """Whether we may as well sleep: tasks come in one by one, and another looks for them.
        Several who do get a few each, at a commit each."""
        rests = clock.now() < self._rest_until
        self._spared = rests and self.service.lookout(self._before_us)
        return self._spared

    def find(self) -> bool:
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
        if self._spared:
            # The claim that we leave it to may be older than what is due. Only one that begins
            # after this sees all of it, or wakes somebody; else we look ourselves.
            self._spared, began = False, clock.now()
            if self.child.wait(LOOKOUT) or all(
                slot.look_began <= began for slot in self._before_us
            ):
                return
        # With work in sight that others were quicker to claim, or without a good
        # lease, nobody is sure to wake us.
        quiet = not self._lanes and self.slot.may_start(clock.now())
        pause = SLEEP if quiet else self.service.settings.poll
        self.child.wait(min(pause, self.recorder.tally.wait()))

    def look(self) -> list[Lane]:
        """The lanes with due tasks, most urgent first; what is finished is written."""
        self.rest()
        # Idle first, then the look: a wake-up that comes in between finds us idle.
        self.idle()
        began = clock.now()
        lanes, untouched = self.hand.look(self.link.leases(), self.service.queues)
        self.recorder.look_again(untouched)
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
        self._stale = now + max(clock.nanoseconds(LOOK_AGAIN), cost)
        self.link.answered()

    def known_lanes(self) -> list[Lane]:
        """Those of the last look, while it is fresh."""
        return self._lanes if clock.now() < self._stale else []

    def claim_first(self) -> bool:
        """Claim what is most urgent, without a look at the lanes before: after a sleep, and while
        work keeps coming."""
        likely = self._slept or self._flows
        slow = self._look_took > clock.nanoseconds(SLOW_LOOK)
        if not likely or slow:
            return False
        self.rest()
        return self.prepare() and self.claim(self.service.queues)

    def claim_from(self, lanes: list[Lane]) -> bool:
        """Claim from the most urgent lane that has anything left."""
        return any(self.prepare() and self.claim(lane) for lane in lanes)

    def claim(self, place: Lane | Queues) -> bool:
        """Claim from a lane, or from the most urgent one of these queues; whether anything
        came."""
        began = clock.now()
        haul, untouched = self.hand.refill(self.link.leases(), self.wanted(place))
        return self.came(haul, untouched, began)

    def wanted(self, place: Lane | Queues) -> Wanted:
        """As many from there as we run in a while, if they are quick."""
        return Wanted(place, self.pace.limit(), self.pace.quick_names())

    def prepare(self) -> bool:
        """Have the hand hold what comes under our lease; whether that is a good one, and we are
        not told to stop."""
        if self.child.stopping:
            return False
        lease = self.slot.held_lease()
        # Said before the claim: from now on the lease's deadline is enforced.
        self.slot.state = State.BUSY
        if not self.slot.may_start(clock.now()):
            return False
        if self.hand.lease != lease:
            self.recorder.write_finished()  # what was done under the old one
            self.hand.hold_under(lease)
        return True

    def came(self, haul: Haul, untouched: list[Run], began: int) -> bool:
        """This came of a claim that was waited for since then; whether it is anything."""
        self._refusal.over()
        self.recorder.look_again(untouched)
        slept, self._slept = self._slept, False
        if haul.lanes is not None:
            self.looked(began, [haul.more] if haul.more else [])
        self._more = haul.more is not None
        self._light = sum(len(task.payload) for task in haul.tasks) <= REACH_MOST
        # One task alone, after a sleep, is no flow.
        self._flows = self._more or not slept
        if not haul.tasks:
            return False
        # Said before anyone is woken, who might leave it to us again.
        self.slot.look_ended = clock.now()
        if len(haul.tasks) > 1:
            self.slot.since = clock.now()  # none of these has waited yet
            self._say_that_others_wait()
        lanes = len(self._lanes) if haul.lanes is None else haul.lanes
        # One that is not known to be quick was claimed alone, whatever waits behind it.
        alone = not self.pace.is_quick(haul.tasks[0].name)
        if self._more or lanes > 1 or alone:
            self.service.wake_one(self.child.scoreboard)  # there may be more
        if not self._more:
            self._stale = 0
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

    def disown(self) -> None:
        """Have the keeper end our lease, as we have lost track of what we hold under it.

        Ending it locks our row, and so waits for a claim that may still be in flight.
        """
        lease = self.slot.held_lease()
        self.idle()
        if not lease or lease != self.hand.lease:
            # It has ended. One that we were given meanwhile is not in doubt.
            self.hand.renounce()
            self.slot.unwritten_task = 0
            return
        self.slot.doubtful_lease = lease
        self._keeper.wake()
