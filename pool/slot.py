"""A slot of the scoreboard: one child's line on it.

Its fields are words of shared memory. Each has a single writer, as :mod:`pool.scoreboard` says.
"""

import contextlib
import ctypes
import functools
import os
import sys
from enum import IntEnum

from pool.counters import Counters
from pool.finish_log import FinishLog
from pool.last_runs import LastRuns
from pool.memory_log import MemoryLog
from pool.stack_file import StackFile

LABEL = 120  # bytes of the name of what a child runs
#: What is written to wake a child: an event counter takes a number of eight bytes.
_WAKE = (1).to_bytes(8, sys.byteorder)
#: Open files that each slot takes: the stack file, and an event counter or the ends of a pipe.
DESCRIPTORS = 2 if hasattr(os, "eventfd") else 3


class State(IntEnum):
    """What a child is doing."""

    EMPTY = 0  # the slot has no child
    BOOTING = 1
    ASIDE = 2  # is up, and takes no part in the work
    IDLE = 3  # waits for work and holds none
    BUSY = 4  # holds work


class Others(IntEnum):
    """Whether other work waits, or may wait, behind the run of a child."""

    NONE = 0
    WAIT = 1  # not for long: it is taken from the child if the run takes long
    WAIT_UNLESS_IDLE = 2  # the same, but only for another child that has nothing to do


class Slot(ctypes.Structure):
    """One child's line on the scoreboard, what wakes it, and where its stack is written."""

    # Written by the supervisor.
    pid: int
    generation: int  # counts the children that this slot has had
    born: int
    number: int  # the child's number among those of its role
    asked: int  # the generation that was asked to end
    # Written by the child.
    state: int
    beat: int  # when the child last said that it goes round its loop
    worked: int  # the last generation that did something useful
    task_id: int  # the task that it runs, 0 between runs
    attempt: int
    since: int  # when the run began; between two runs, when the last batch came in
    others: int  # one of Others
    look_began: int  # when it last began to look for work, and when it last ended a look
    look_ended: int
    seeks: int  # when it began to find out which kind of work is next, 0 when it does not
    found: int  # a number of what it found then, 0 for nothing
    found_until: int  # until then the other children may rely on it
    soft_deadline: int
    hard_deadline: int
    doubtful_lease: int  # it does not know what it holds under this lease
    unwritten_task: int  # it could not write the outcome of this task
    done: int  # counts, over all generations
    retried: int
    failed: int
    progress_task: int  # the run that the progress below belongs to
    progress_attempt: int
    progress_done: int  # a part of the total, in the task's own units
    progress_total: int  # 0 when it is not known
    watches: int  # it watches by itself how long the runs of other children take
    collects: int  # it will look at the last runs of the other children by itself
    listens: int  # it hears of new work, and wakes a child that is idle
    # Written by the process that renews leases.
    lease: int
    lease_deadline: int  # work under the lease must have stopped by then
    lease_generation: int  # the generation that got the lease
    spent_lease: int  # a run may end under this lease, but none may start
    ending_task: int  # the run that was asked to end, and its deadlines
    ending_attempt: int
    ending_lease: int
    ending_soft: int
    ending_hard: int
    recalled: int  # work that waits behind the run that began then is taken from the child

    def open(
        self,
        index: int,
        finish_log: FinishLog,
        memory: MemoryLog,
        counters: Counters,
        last_runs: LastRuns,
    ) -> "Slot":
        """Get ready, before the first fork."""
        self.index = index
        self.finish_log = finish_log
        self.memory = memory
        self.counters = counters
        self.last_runs = last_runs
        self.stack_file = StackFile()
        if hasattr(os, "eventfd"):
            self._wake_reader = self._wake_writer = os.eventfd(0)
        else:
            self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        return self

    @property
    def label(self) -> str:
        """The name of what the child runs."""
        return self._label.decode("utf-8", "replace")

    @label.setter
    def label(self, text: str) -> None:
        self._label = _fitting(text)

    def begin(self, task: int, attempt: int, label: str, since: int, soft: int, hard: int) -> None:
        """Publish the run that begins. The id goes out last: a reader that has it has the rest."""
        self.since, self.soft_deadline, self.hard_deadline = since, soft, hard
        self.attempt = attempt
        self._label = _fitting(label)
        self.task_id = task

    @property
    def alive(self) -> bool:
        return self.pid != 0

    def end_run(self, task: int, attempt: int, *, soft: int, hard: int) -> None:
        """Ask a run to end: it gets these deadlines beside its own.

        No other run gets them, also not the same attempt under another lease. The same attempt
        comes again when a database was restored to an earlier state. The id goes out last: a
        reader that has it has the rest.
        """
        self.ending_task = 0
        self.ending_lease = self.held_lease()
        self.ending_attempt, self.ending_soft, self.ending_hard = attempt, soft, hard
        self.ending_task = task

    @property
    def ending(self) -> bool:
        """Whether the run in progress was asked to end."""
        task = self.task_id
        same = task != 0 and task == self.ending_task and self.attempt == self.ending_attempt
        return same and self.ending_lease == self.held_lease()

    def soft_passed(self, now: int) -> int:
        """The last soft deadline of the run in progress that has passed, 0 for none."""
        own, other = self.soft_deadline, self.ending_soft if self.ending else 0
        return max(own if own <= now else 0, other if other <= now else 0)

    def set_progress(self, done: int, total: int) -> None:
        """Publish how far the run in progress is.

        The id of its task is taken away first and goes out last, so that no other run gets it.
        """
        self.progress_task = 0
        self.progress_attempt = self.attempt
        self.progress_done, self.progress_total = done, total
        self.progress_task = self.task_id

    def progress(self) -> tuple[int, int] | None:
        """How far the run in progress is, as done and total. None when it has not said so."""
        task = self.task_id
        found = self.progress_done, self.progress_total
        same = task == self.progress_task == self.task_id
        return found if task and same and self.attempt == self.progress_attempt else None

    def held_lease(self) -> int:
        """The lease of the child that is in this slot now, 0 while it has none."""
        return self.lease if self.lease_generation == self.generation else 0

    def lease_is_good(self, now: int) -> bool:
        """Whether the child holds a lease that has not expired.

        now: on ``pool.clock``. A later time asks for a lease that lasts until then.
        """
        return self.held_lease() != 0 and now < self.lease_deadline

    def may_start(self, now: int) -> bool:
        """Whether the child may start work under the lease that it holds."""
        return self.may_start_under(self.held_lease(), now)

    def may_start_under(self, lease: int, now: int) -> bool:
        """The same, for a caller that has just read the lease: each read of a word takes time."""
        return lease != 0 and lease != self.spent_lease and now < self.lease_deadline

    def grant(self, lease: int, generation: int, deadline: int) -> None:
        """Publish a new lease of an idle child.

        The generation is taken away first and goes out last. So no reader pairs a lease with the
        deadline of another.
        """
        self.lease_generation = 0
        self.lease = lease
        self.lease_deadline = deadline
        self.lease_generation = generation

    def lease_overdue(self, now: int) -> bool:
        """Whether the child holds work under a lease that has expired."""
        return self.state == State.BUSY and now >= self.lease_deadline

    def wake(self) -> None:
        """Wake the child from :meth:`wait`. Safe in a signal handler; never blocks."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full: the child will wake anyway
            os.write(self._wake_writer, _WAKE)

    def wake_fd(self) -> int:
        """The descriptor that turns readable on :meth:`wake`."""
        return self._wake_reader

    def clear_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._wake_reader, 512)) == 512:
                pass


WORDS = tuple(Slot.__annotations__)
# Declared above and laid out here: a word is read and written in one instruction.
Slot._fields_ = [*((word, ctypes.c_int64) for word in WORDS), ("_label", ctypes.c_char * LABEL)]


@functools.lru_cache(maxsize=1024)
def _fitting(label: str) -> bytes:
    return label.encode()[:LABEL]
