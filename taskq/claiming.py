"""Claiming: what a worker does between the end of one batch and the start of the next."""

from __future__ import annotations

import time

from pool import Child, State, clock
from taskq.claims import Claimed, Lane
from taskq.hand import Hand, Reliever
from taskq.hygiene import release_connections
from taskq.leases import DATABASE_ERRORS
from taskq.link import Link
from taskq.pace import Pace
from taskq.recording import Recorder
from taskq.service import KEEPER, Service

#: Seconds after which the lanes are looked at again, so that a more urgent one, or
#: another queue of the same priority, does not wait for long. When a look itself takes
#: long, it is taken so seldom that it costs no more than a twentieth of the time.
LOOK_AGAIN = 0.050
LOOK_COST = 20
#: Seconds from a claim that took all there was to the next look: tasks that come in one by
#: one are claimed together, or each would cost a commit of its own.
REST = 0.005
#: Seconds that a worker sleeps at most. The keeper wakes it when there is work.
SLEEP = 60.0
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
        reliever: Reliever,
    ) -> None:
        self.child = child
        self.service = service
        self.slot = child.slot
        self.hand = hand
        self.pace = pace
        self.link = link
        self.recorder = recorder
        self._reliever = reliever
        self._lanes: list[Lane] = []
        self._stale = 0
        self._rest_until = 0
        self._slept = True
        #: Work was there each time: then it is claimed without a look before.
        self._flows = False
        self._look_took = 0

    def fetch(self) -> Claimed | None:
        """Claim the next tasks, or sleep until there may be some."""
        try:
            if self.hand.in_doubt:
                self.recorder.write_finished()
                self.disown()
            elif self.slot.lease_is_good(clock.now()) and (
                self.claim_from(self.known_lanes())
                or ((self._slept or self._flows) and self.claim_first())
                or self.claim_from(self.look())
            ):
                return self.hand.take()
            self._flows = False
            self.recorder.write_finished()
            self.idle()
            release_connections()
            # With work in sight that others were quicker to claim, or without a good
            # lease, nobody is sure to wake us.
            quiet = not self._lanes and self.slot.lease_is_good(clock.now())
            self.child.wait(SLEEP if quiet else self.service.settings.poll)
            self._slept = True
        except DATABASE_ERRORS as error:
            # A claim may have been made of which we never heard.
            self.hand.drop()
            time.sleep(self.link.lost(error))
        return None

    def look(self) -> list[Lane]:
        """The lanes with due tasks, most urgent first; what is finished is written."""
        self.rest()
        # Idle first, then the look: a wake-up that comes in between finds us idle.
        self.idle()
        began = clock.now()
        lanes, fenced = self.hand.look(self.link.leases(), self.service.queues)
        self.recorder.say_fenced(fenced)
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
        self._stale = now + max(clock.nanoseconds(LOOK_AGAIN), LOOK_COST * self._look_took)
        self.link.answered()

    def known_lanes(self) -> list[Lane]:
        """Those of the last look, while it is fresh."""
        return self._lanes if clock.now() < self._stale else []

    def claim_first(self) -> bool:
        """Claim what is most urgent, without a look at the lanes before."""
        slept, self._slept = self._slept, False
        if self._look_took > clock.nanoseconds(SLOW_LOOK) or not self.prepare():
            return False
        self.rest()
        limit = self.pace.limit()
        leases, quick = self.link.leases(), self.pace.quick_names()
        began = clock.now()
        tasks, more, lanes, fenced = self.hand.fill(leases, self.service.queues, limit, quick)
        self.recorder.say_fenced(fenced)
        self.looked(began, [more] if more else [])
        # One task alone, after a sleep, is no flow.
        self._flows = more is not None or not slept
        return self.came(tasks, limit, lanes)

    def claim_from(self, lanes: list[Lane]) -> bool:
        """Claim from the most urgent lane that has anything left."""
        for lane in lanes:
            if not self.prepare():
                return False
            limit = self.pace.limit()
            leases, quick = self.link.leases(), self.pace.quick_names()
            tasks, fenced = self.hand.refill(leases, lane, limit, quick)
            self.recorder.say_fenced(fenced)
            if self.came(tasks, limit, len(lanes)):
                self._flows = True
                return True
        return False

    def prepare(self) -> bool:
        """Have the hand hold what comes under our lease; whether that is a good one."""
        lease = self.slot.held_lease()
        # Said before the claim: from now on the lease's deadline is enforced.
        self.slot.state = State.BUSY
        if not self.slot.lease_is_good(clock.now()):
            return False
        if self.hand.lease != lease:
            self.recorder.write_finished()  # what was done under the old one
            self.hand.lease = lease
        return True

    def came(self, tasks: list[Claimed], limit: int, lanes: int) -> bool:
        """This came of a claim from one of so many lanes; whether anything did."""
        if not tasks:
            return False
        if len(tasks) > 1:
            self._reliever.arm()
        # One that is not known to be quick was claimed alone, whatever waits behind it.
        alone = not self.pace.is_quick(tasks[0].name)
        if len(tasks) == limit or lanes > 1 or alone:
            self.service.wake_one(self.child.scoreboard)  # there may be more
        if len(tasks) < limit:
            self._stale = 0
            if lanes == 1:
                self._rest_until = clock.now() + clock.nanoseconds(REST)
        return True

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
            return
        self.slot.doubtful_lease = lease
        self.child.scoreboard.slots[KEEPER].wake()
