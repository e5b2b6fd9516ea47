"""Claiming: what a worker does between the end of one batch and the start of the next."""

from __future__ import annotations

from pool import Child, Others, State, clock
from taskq.database_errors import DATABASE_ERRORS
from taskq.pool_context import KEEPER, PoolContext
from taskq.store.claims import ClaimRequest, ClaimResult, Lane
from taskq.store.refusals import Refusal, concerns_all
from taskq.store.session import StoreSession
from taskq.task import registry
from taskq.task.claimed import Claimed
from taskq.task.queues import Queues
from taskq.worker.batch import Batch
from taskq.worker.known_lanes import KnownLanes
from taskq.worker.outcome_writer import OutcomeWriter
from taskq.worker.pace import Pace
from taskq.worker.sleeper import Sleeper

#: Seconds of work that are left of a batch when the claim of the next one begins, at least and at
#: most. While the worker has to wait for such claims, as on a slow disk, they begin earlier.
AHEAD, AHEAD_LIMIT = 0.010, 0.040
#: Seconds. A longer wait for a claim ahead says that it should have begun earlier.
NO_WAIT = 0.001
#: Seconds within which the end of a run is sent that somebody may wait to see. With the write it
#: stays below a twentieth of a second.
SEEN = 0.035
#: Characters of arguments in a batch above which the next one is not claimed ahead. The answer
#: must fit into the sockets' buffers, or its claim stays uncommitted until it is read.
AHEAD_MOST = 32 * 1024
#: Seconds at most until a claim that was refused is tried again.
CLAIM_AGAIN = 2.0


class Claimer:
    """Claims tasks for the batch of one worker, from the most urgent lane first."""

    def __init__(
        self,
        child: Child,
        context: PoolContext,
        batch: Batch,
        pace: Pace,
        session: StoreSession,
        writer: OutcomeWriter,
        sleeper: Sleeper,
    ) -> None:
        self.child = child
        self.context = context
        self.slot = child.slot
        self.batch = batch
        self.pace = pace
        self.session = session
        self.writer = writer
        self.sleeper = sleeper
        workers = child.scoreboard.slots[KEEPER + 1 :]
        self.lanes = KnownLanes(self.slot, [each for each in workers if each is not self.slot])
        self._slept = True
        self._keeper = child.scoreboard.slots[KEEPER]
        #: The last claims found work each time.
        self._busy = False
        #: The lane of the last claim may have more.
        self._lane_has_more = False
        #: The last claim brought no large arguments.
        self._small_payloads = True
        self._ahead = AHEAD
        self._refusal = Refusal(child.name, "claim tasks", limit=CLAIM_AGAIN)

    def claim(self) -> bool:
        """Claim with an empty batch, unless another worker does. Whether anything came."""
        if not self.sleeper.leave_to_another() and self.claim_most_urgent():
            return True
        if self.batch.release(self.session.store()) and self.claim_most_urgent():
            return True
        self._busy = False
        return False

    def failed(self, error: Exception) -> float:
        """Called for an error of the database. Seconds to wait before the next try."""
        if concerns_all(error):
            # The database may have made a claim whose answer is lost.
            self.batch.forget_waiting()
            return self.session.lost(error)
        # It was rolled back, perhaps for an ended run that cannot be written.
        self.writer.write_one_by_one()
        return self._refusal.came(error)

    def send_ahead(self, task: Claimed, *, quick: bool, last: bool) -> None:
        """Before a run: begin to claim what comes after it, and to write what has ended. The server
        works at it during the run.

        quick: the task is known as that. last: the worker claims nothing after this run.
        """
        if self.batch.claims_ahead:
            return
        request = None if last else self.request_ahead(task, quick=quick)
        try:
            if request is None and not self.must_send(task, quick=quick):
                return
            sent = self.batch.send(self.session.store(), request)
            self.writer.check_untouched()
            if request is not None:
                self._lane_has_more = sent
                self._say_that_others_wait(Others.WAIT if quick else Others.WAIT_UNLESS_IDLE)
            if not sent and not quick:
                self.writer.write_ended()
        except DATABASE_ERRORS as error:
            self.failed(error)  # the run is no reason to wait; the next fetch() may be one

    def request_ahead(self, task: Claimed, *, quick: bool) -> ClaimRequest | None:
        """What to claim before this run ends; None for nothing."""
        if not (self._lane_has_more and self._small_payloads) or task.alone or self.child.stopping:
            return None
        if not quick:
            return self.request_one(task)
        if self.batch.waiting > self.pace.within(self._ahead):
            return None
        if lanes := self.lanes.fresh():
            return self.request_for(lanes[0])
        return None if self.lanes.are_slow_to_find else self.request_for(self.context.queues)

    def must_send(self, task: Claimed, *, quick: bool) -> bool:
        """Whether the ended runs must be sent before this run, though nothing is claimed."""
        if not self.batch.unsent:
            return False
        if not quick:
            return True
        since = self.batch.seen_since
        if not since:
            return False
        patience = clock.nanoseconds(SEEN - self.pace.expected(task.name))
        if clock.now() - since <= patience:
            return False
        return not self.batch.awaits_answer(self.session.store())

    def request_one(self, task: Claimed) -> ClaimRequest | None:
        """Ask for one task to be ready when a short run ends. None for a run that may be long, or
        while another worker sleeps, which would start that task sooner."""
        if self.batch.waiting or not self.pace.is_short(task.name):
            return None
        if any(self.context.sleepers(self.child.scoreboard)):
            return None
        # Not from the lane of the last look: a more urgent one would wait for all of this run.
        return ClaimRequest(self.context.queues, 1, (), registry.names_with_hooks())

    def collect(self) -> bool:
        """Take what :meth:`send_ahead` has claimed. Whether anything came."""
        began = clock.now()
        result = self.batch.collect()
        self.writer.check_untouched()
        if result is None:
            return False
        waited = clock.now() - began > clock.nanoseconds(NO_WAIT)
        self._ahead = (
            min(AHEAD_LIMIT, 2 * self._ahead) if waited else max(AHEAD, 0.98 * self._ahead)
        )
        return self.take_in(result, began)

    def claim_most_urgent(self) -> bool:
        """Claim from the most urgent lane of all queues. Whether anything came."""
        if not self.slot.may_start(clock.now()):
            return False
        self.slot.look_began = clock.now()
        try:
            lanes = self.lanes.fresh()
            if not lanes:
                self.rest()
            # What others have woken it for so far, it sees from here on. It does not sleep before
            # a look at all lanes.
            self.slot.clear_wakes()
            self.slot.look_began = clock.now()
            return self.claim_from(lanes) or self.claim_first() or self.claim_from(self.look())
        finally:
            self.slot.look_ended = clock.now()

    def rest(self) -> None:
        """Let tasks that come in one by one be several. What somebody may wait to see is sent
        before."""
        if self.batch.seen_since and self.sleeper.may_rest:
            self.batch.send(self.session.store(), None)
        if self.sleeper.rest():
            self.note_sleep()

    @property
    def sees_work(self) -> bool:
        """Whether the last look found tasks."""
        return bool(self.lanes.found)

    def note_sleep(self) -> None:
        """The worker has slept since the last claim."""
        self._slept = True

    def look(self) -> list[Lane]:
        """Write the ended runs. The lanes with due tasks, most urgent first."""
        # Idle first, then the look: a wake-up that comes in between finds us idle.
        self.sleeper.idle()
        began = clock.now()
        self.lanes.seek()
        lanes = self.batch.look(self.session.store(), self.context.queues)
        self.writer.check_untouched()
        self.lanes.note(began, [lane for lane in lanes if lane.wait <= 0])
        self.session.answered()
        return self.lanes.found

    def claim_first(self) -> bool:
        """Claim the most urgent tasks without a look at the lanes before. Only after a sleep, or
        while work keeps coming."""
        likely = self._slept or self._busy
        if not likely or self.lanes.are_slow_to_find:
            return False
        return self.prepare() and self.claim_at(self.context.queues)

    def claim_from(self, lanes: list[Lane]) -> bool:
        """Claim from the most urgent lane that has anything left."""
        return any(self.prepare() and self.claim_at(lane) for lane in lanes)

    def claim_at(self, place: Lane | Queues) -> bool:
        """Claim from a lane, or from the most urgent lane of these queues. Whether anything
        came."""
        began = clock.now()
        result = self.batch.claim(self.session.store(), self.request_for(place))
        self.writer.check_untouched()
        return self.take_in(result, began)

    def request_for(self, place: Lane | Queues) -> ClaimRequest:
        """Ask for as many tasks as this worker runs in a short while, if they are quick."""
        return ClaimRequest(
            place, self.pace.limit(), self.pace.quick_names(), registry.names_with_hooks()
        )

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
            self.writer.write_ended()  # what was done under the old one
            self.batch.hold_under(lease)
        return True

    def take_in(self, result: ClaimResult, began: int) -> bool:
        """Note what a claim has brought. began: when it did. Whether anything came."""
        self._refusal.over()
        slept, self._slept = self._slept, False
        if result.lanes is not None:
            self.lanes.note(began, [result.more] if result.more else [])
            self.session.answered()
        self._lane_has_more = result.more is not None
        # A list, as a generator takes twice as long.
        self._small_payloads = sum([len(task.payload) for task in result.tasks]) <= AHEAD_MOST
        # One task after a sleep does not mean that more will come.
        self._busy = self._lane_has_more or not slept
        if not result.tasks:
            return False
        # Before another worker is woken: it might leave the look to this one again.
        self.slot.look_ended = clock.now()
        if len(result.tasks) > 1:
            self.slot.since = clock.now()  # none of these has waited yet
            self._say_that_others_wait()
        lanes = len(self.lanes.found) if result.lanes is None else result.lanes
        # A task that is not known to be quick was claimed alone, whatever waits behind it.
        alone = not self.pace.is_quick(result.tasks[0].name)
        if self._lane_has_more or lanes > 1 or alone:
            self.context.wake_one(self.child.scoreboard)  # there may be more
        if not self._lane_has_more:
            self.lanes.forget()
            if lanes == 1:
                self.sleeper.begin_rest()
        return True

    def _say_that_others_wait(self, others: Others = Others.WAIT) -> None:
        """Let the keeper watch that the tasks of the batch do not wait for long."""
        self.slot.others = others
        if not self._keeper.watches:
            self._keeper.wake()
