"""Sleeping: what a worker does while it has no task."""

from __future__ import annotations

from pool import Child, State, clock
from taskq.pool_context import KEEPER, LOOK_TRUSTED, PoolContext

#: Seconds from a claim that took all there was to the next look. Tasks that come in one by one
#: are claimed together: else each would cost a commit of its own.
REST = 0.005
#: Seconds that a worker sleeps at most. The keeper wakes it when there is work.
SLEEP = 300.0


class Sleeper:
    """Lets one worker rest between two claims, leave a look to another worker, and sleep."""

    def __init__(self, child: Child, context: PoolContext) -> None:
        self._child = child
        self._context = context
        self._slot = child.slot
        self._keeper = child.scoreboard.slots[KEEPER]
        self._workers_before = child.scoreboard.slots[KEEPER + 1 : child.slot.index]
        self._rest_until = 0
        #: Another worker looks for work instead of this one.
        self._left_to_another = False

    def leave_to_another(self) -> bool:
        """Whether this worker may sleep, as tasks come in one by one and another worker looks for
        them. If several looked, each would get a few, at a commit each."""
        self._left_to_another = self.may_rest and self._context.somebody_looks(self._workers_before)
        return self._left_to_another

    def begin_rest(self) -> None:
        """The last claim took all there was."""
        self._rest_until = clock.now() + clock.nanoseconds(REST)

    @property
    def may_rest(self) -> bool:
        """Whether :meth:`rest` would wait now."""
        return clock.now() < self._rest_until

    def rest(self) -> bool:
        """Wait until tasks that come in one by one have had the time to be several.

        While the pool hears of each, this worker says that it is idle, and gets the next wake-up.
        It has warm caches, and its claim writes what it has finished. Returns whether it was woken.
        """
        if (left := self._rest_until - clock.now()) <= 0:
            return False
        if self._keeper.listens:
            self.idle()
        return bool(self._child.wait(left / clock.SECOND))

    def idle(self) -> None:
        """Say on the scoreboard and in the title that no task runs here."""
        if self._slot.state != State.IDLE:
            self._slot.state = State.IDLE
            self._child.title("idle")

    def sleep(self, *, work_in_sight: bool, at_most: float) -> None:
        """Sleep until woken.

        work_in_sight: the last look found tasks that other workers claimed first.
        at_most: seconds.
        """
        if self._left_to_another:
            # The other worker's claim may have begun before the newest task was there. Only a look
            # that begins after this moment sees all tasks, or wakes somebody for them.
            self._left_to_another, began = False, clock.now()
            if self._child.wait(LOOK_TRUSTED) or all(
                slot.look_began <= began for slot in self._workers_before
            ):
                return
        # With work in sight or without a good lease, no wake-up is sure to come.
        quiet = not work_in_sight and self._slot.may_start(clock.now())
        pause = SLEEP if quiet else self._context.settings.poll
        self._child.wait(min(pause, at_most))
