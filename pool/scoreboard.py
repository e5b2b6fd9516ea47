"""The scoreboard: the one thing that the processes of a pool share.

A small anonymous mapping made before the first fork. It holds a slot for each
child and a ring of deaths. There is no lock that a dying child could hold:
every field has a single writer (named beside it) and is one aligned 64-bit
word, so a reader sees the old value or the new one, never half of each.
All times are nanoseconds of ``pool.clock``; 0 means "none".
"""

import contextlib
import ctypes
import functools
import math
import mmap
import os
from collections.abc import Iterator
from enum import IntEnum

from pool import clock, kernel
from pool.death import Cause, Death
from pool.finish_log import ROOM, FinishLog

LABEL = 120  # bytes of the name of what a child runs
_HEADER_WORDS = 8
_DEATH_WORDS = 8
DEATHS_KEPT = 1024
#: Open files that a child may have of its own: the usual limit of a whole process.
DESCRIPTORS = 1024
#: With fewer than these it could not even load a site.
LEAST_DESCRIPTORS = 128


class TooManySlots(Exception):
    """For the limit of open files. Its arguments: the lowest that would do, that which holds."""


class State(IntEnum):
    """What a child is doing."""

    EMPTY = 0  # nobody lives in the slot
    BOOTING = 1
    IDLE = 2  # waits for work, holds none
    BUSY = 3  # holds work


class Slot(ctypes.Structure):
    """One child's line on the scoreboard, and the pipe that wakes it."""

    # Written by the supervisor.
    pid: int
    generation: int  # counts the children that lived here
    born: int
    number: int  # the child's number among those of its role
    asked: int  # generation that was asked to end
    # Written by the child.
    state: int
    beat: int  # when it last said that it goes round its loop
    worked: int  # generation that got as far as doing something useful
    task_id: int  # what it runs, 0 between runs
    attempt: int
    since: int  # when that began; between two runs, when the last batch came in
    others: int  # work that it holds, or may hold, waits behind what it runs
    look_began: int  # when it last began to look for work, and when it last had done so
    look_ended: int
    soft_deadline: int
    hard_deadline: int
    doubtful_lease: int  # it lost track of what it holds under this lease
    unwritten_task: int  # it could not write the outcome of this one
    done: int  # counts, over all generations
    retried: int
    failed: int
    progress_task: int  # the run that the progress below is of
    progress_attempt: int
    progress_done: int  # so much of the total, in units of its own
    progress_total: int  # 0 when it is not known
    watches: int  # it looks by itself at how long the runs of the others take
    # Written by whoever renews leases.
    lease: int
    lease_deadline: int  # work under the lease must have stopped by then
    lease_generation: int  # which child the lease was given to
    spent_lease: int  # what runs may end under it, and nothing more may start
    ending_task: int  # the run that was asked to end, and its deadlines
    ending_attempt: int
    ending_lease: int
    ending_soft: int
    ending_hard: int
    recalled: int  # what waits behind the run that began then is taken from the child

    def open(self, index: int, finish_log: FinishLog) -> "Slot":
        """Get ready, before the first fork."""
        self.index = index
        self.finish_log = finish_log
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
        """Say what the child runs from now on; the id last: who sees it sees the rest."""
        self.since, self.soft_deadline, self.hard_deadline = since, soft, hard
        self.attempt = attempt
        self._label = _fitting(label)
        self.task_id = task

    @property
    def alive(self) -> bool:
        return self.pid != 0

    def end_run(self, task: int, attempt: int, *, soft: int, hard: int) -> None:
        """Ask a run to end: it gets these deadlines beside its own, and no other run does, nor
        one under another lease: where the history of a database went back, the same attempt of
        the same task comes again. The id goes out last: who sees it sees the rest."""
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
        """The last soft deadline that the run in progress is past, 0 for none."""
        own, other = self.soft_deadline, self.ending_soft if self.ending else 0
        return max(own if own <= now else 0, other if other <= now else 0)

    def set_progress(self, done: int, total: int) -> None:
        """How far the run in progress is. Whose it is goes out last and comes back first."""
        self.progress_task = 0
        self.progress_attempt = self.attempt
        self.progress_done, self.progress_total = done, total
        self.progress_task = self.task_id

    def progress(self) -> tuple[int, int] | None:
        """How far the run in progress is, done and total; None when it has not said."""
        task = self.task_id
        found = self.progress_done, self.progress_total
        same = task == self.progress_task == self.task_id
        return found if task and same and self.attempt == self.progress_attempt else None

    def held_lease(self) -> int:
        """The lease of the child that lives here now, 0 while it has none."""
        return self.lease if self.lease_generation == self.generation else 0

    def lease_is_good(self, now: int) -> bool:
        """Whether the child holds a lease that is not about to end."""
        return self.held_lease() != 0 and now < self.lease_deadline

    def may_start(self, now: int) -> bool:
        """Whether the child may start work under the lease that it holds."""
        return self.may_start_under(self.held_lease(), now)

    def may_start_under(self, lease: int, now: int) -> bool:
        """The same, for a child that has just asked for its lease: each word takes time to read."""
        return lease != 0 and lease != self.spent_lease and now < self.lease_deadline

    def grant(self, lease: int, generation: int, deadline: int) -> None:
        """Publish a new lease of an idle child. The generation goes out first and
        comes back last: nobody may read a deadline with a lease it does not belong to."""
        self.lease_generation = 0
        self.lease = lease
        self.lease_deadline = deadline
        self.lease_generation = generation

    def lease_overdue(self, now: int) -> bool:
        """Whether the child holds work under a lease that has run out."""
        return self.state == State.BUSY and now >= self.lease_deadline

    def wake(self) -> None:
        """Wake the child from :meth:`wait`. Safe in a signal handler; never blocks."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full: it will wake anyway
            os.write(self._wake_writer, b"!")

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


class Scoreboard:
    """Slots, deaths and a few flags for a pool of at most ``capacity`` children.

    room: runs that each may have done and not written.

    Raises TooManySlots where the limit of open files is too low for them, and may not be raised.
    """

    def __init__(self, capacity: int, *, room: int = ROOM) -> None:
        slot_bytes, log_words = ctypes.sizeof(Slot), FinishLog.words(room)
        deaths_at = _HEADER_WORDS * 8
        slots_at = deaths_at + DEATHS_KEPT * _DEATH_WORDS * 8
        logs_at = slots_at + capacity * slot_bytes
        # A pipe for each, and as many as usual for what the children do.
        least = math.ceil((2 * capacity + LEAST_DESCRIPTORS) / kernel.FULL)
        if (limit := kernel.allow_descriptors(2 * capacity + DESCRIPTORS)) < least:
            raise TooManySlots(least, limit)
        shared = mmap.mmap(-1, logs_at + capacity * log_words * 8)
        self._header = memoryview(shared)[:deaths_at].cast("q")
        self._deaths = memoryview(shared)[deaths_at:slots_at].cast("q")
        logs = memoryview(shared)[logs_at:].cast("q")
        self.slots = [
            Slot.from_buffer(shared, slots_at + index * slot_bytes).open(
                index, FinishLog(logs[index * log_words : (index + 1) * log_words])
            )
            for index in range(capacity)
        ]

    def living(self) -> Iterator[Slot]:
        return (slot for slot in self.slots if slot.alive)

    @property
    def others_wait_until(self) -> int:
        """Until when the children leave what only one of them can have to the one that says so
        here. A time, so that nobody waits for long when that one dies."""
        return int(self._header[2])

    @others_wait_until.setter
    def others_wait_until(self, moment: int) -> None:
        self._header[2] = moment

    # The ring of deaths: the supervisor writes, one reader acknowledges.

    def record(self, death: Death) -> None:
        """Append a death (supervisor only). The oldest unread one gives way when
        the ring is full: its lease runs out by itself."""
        written = self._header[0]
        start = (written % DEATHS_KEPT) * _DEATH_WORDS
        self._deaths[start + 0] = death.slot
        self._deaths[start + 1] = death.pid
        self._deaths[start + 2] = death.lease
        self._deaths[start + 3] = death.task_id
        self._deaths[start + 4] = death.attempt
        self._deaths[start + 5] = death.cause
        self._deaths[start + 6] = death.code
        self._deaths[start + 7] = death.seconds
        self._header[0] = written + 1

    def unread_deaths(self) -> list[tuple[int, Death]]:
        """Deaths not yet acknowledged, oldest first, each with its number."""
        written = self._header[0]
        # The very oldest may be giving way to a new one just now.
        oldest = max(self._header[1], written - DEATHS_KEPT + 1)
        found = []
        for number in range(oldest, written):
            start = (number % DEATHS_KEPT) * _DEATH_WORDS
            slot, pid, lease, task, attempt, cause, code, seconds = self._deaths[
                start : start + _DEATH_WORDS
            ]
            if self._header[0] - number >= DEATHS_KEPT:
                continue  # it gave way while we read it
            found.append(
                (number, Death(slot, pid, lease, task, attempt, Cause(cause), code, seconds))
            )
        return found

    def acknowledge(self, number: int) -> None:
        """Never report this death, or an earlier one, again (the reader only)."""
        self._header[1] = number + 1

    def lines(self) -> list[str]:
        """The scoreboard for a person."""
        now = clock.now()
        return [_line(slot, now) for slot in self.living()]


def _line(slot: Slot, now: int) -> str:
    state = State(slot.state).name.lower()
    text = f"slot {slot.index} pid {slot.pid} {state}"
    if slot.task_id:
        text += f" runs {slot.label} #{slot.task_id} for {(now - slot.since) / clock.SECOND:.1f} s"
        if progress := slot.progress():
            text += f", {progress[0]} of {progress[1] or '?'} done"
    if slot.held_lease():
        left = (slot.lease_deadline - now) / clock.SECOND
        text += f" lease {slot.lease} ends in {left:.1f} s"
    return f"{text} done {slot.done} retried {slot.retried} failed {slot.failed}"
