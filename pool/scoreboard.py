"""The scoreboard: the only memory that the processes of a pool share.

It is a small anonymous mapping, made before the first fork. It holds a slot for each child, and
rings of deaths and of their black boxes. It has no lock, because a child could die while it holds
one. Instead, each field has a single writer (named beside it) and is one aligned 64-bit word. So a
reader gets the old value or the new one, never a mix. All times are nanoseconds of ``pool.clock``.
0 means "none".
"""

import ctypes
import math
import mmap
from collections.abc import Iterator
from enum import IntEnum

from pool import black_box, clock, kernel, memory_log
from pool.black_box import Box
from pool.counters import Counters
from pool.death import Cause, Death
from pool.finish_log import BYTES, ROOM, FinishLog
from pool.keepsake import Keepsake
from pool.last_runs import LastRuns
from pool.memory_log import MemoryLog
from pool.slot import DESCRIPTORS as EACH
from pool.slot import Slot, State

_HEADER_WORDS = 24
_ENDS_AT = 8  # in the header: how many workers ended by each cause, and one more word
_DEATH_WORDS = 8
_BOX_WORDS = 2  # of which death it is, and how many bytes it has
DEATHS_KEPT = 1024
#: Open files that each child may have: the usual limit of a process.
DESCRIPTORS = 1024
#: With fewer open files a child could not even load a Django site.
LEAST_DESCRIPTORS = 128


class Contact(IntEnum):
    """What the keeper last heard of the database."""

    NONE = 0  # it does not answer
    GOOD = 1
    UNMIGRATED = 2  # it answers, and lacks tables or columns


class TooManySlots(Exception):
    """The limit of open files is too low. Arguments: the limit that is needed, and the limit."""


class Scoreboard:
    """Slots, deaths and a few flags for a pool of at most ``capacity`` children.

    room: runs of each child that may be over and not yet recorded. data: bytes of what is to be
        recorded of them. columns: counters of a row of :mod:`pool.counters`. keep: bytes of
        ``keepsake``, a value of the support roles.

    Raises TooManySlots when the limit of open files is too low and cannot be raised.
    """

    def __init__(
        self,
        capacity: int,
        *,
        room: int = ROOM,
        data: int = BYTES,
        columns: int = 0,
        keep: int = 0,
    ) -> None:
        slot_bytes, log_words = ctypes.sizeof(Slot), FinishLog.words(room)
        deaths_at = _HEADER_WORDS * 8
        slots_at = deaths_at + DEATHS_KEPT * _DEATH_WORDS * 8
        logs_at = slots_at + capacity * slot_bytes
        memory_at = logs_at + capacity * log_words * 8
        boxes_at = memory_at + capacity * memory_log.WORDS * 8
        data_at = boxes_at + black_box.KEPT * _BOX_WORDS * 8
        texts_at = data_at + capacity * data
        # Those of each slot, and the usual number for a child's work.
        least = math.ceil((EACH * capacity + LEAST_DESCRIPTORS) / kernel.FULL)
        if (limit := kernel.allow_descriptors(EACH * capacity + DESCRIPTORS)) < least:
            raise TooManySlots(least, limit)
        shared = mmap.mmap(-1, texts_at + black_box.KEPT * black_box.ROOM)
        self._header = memoryview(shared)[:deaths_at].cast("q")
        self._deaths = memoryview(shared)[deaths_at:slots_at].cast("q")
        logs = memoryview(shared)[logs_at:memory_at].cast("q")
        memory = memoryview(shared)[memory_at:boxes_at].cast("q")
        self._boxes = memoryview(shared)[boxes_at:data_at].cast("q")
        texts = memoryview(shared)[data_at:texts_at]
        self._box_texts = memoryview(shared)[texts_at:]
        counted, run = Counters.size(columns), 8 * LastRuns.words()
        counters = memoryview(mmap.mmap(-1, capacity * counted))
        runs = memoryview(mmap.mmap(-1, capacity * run)).cast("q")
        self.keepsake = Keepsake(memoryview(mmap.mmap(-1, Keepsake.size(keep))))
        self.slots = [
            Slot.from_buffer(shared, slots_at + index * slot_bytes).open(
                index,
                FinishLog(
                    logs[index * log_words : (index + 1) * log_words],
                    texts[index * data : (index + 1) * data],
                ),
                MemoryLog(memory[index * memory_log.WORDS : (index + 1) * memory_log.WORDS]),
                Counters(counters[index * counted :][:counted], columns),
                LastRuns(runs[index * run // 8 :][: run // 8]),
            )
            for index in range(capacity)
        ]

    def living(self) -> Iterator[Slot]:
        return (slot for slot in self.slots if slot.alive)

    def runs_begun(self) -> int:
        """How many runs the children have ever begun: those that have ended, and those in
        progress."""
        return sum(
            slot.done + slot.retried + slot.failed + (slot.task_id != 0) for slot in self.slots
        )

    @property
    def others_wait_until(self) -> int:
        """The time until which the other children let one child go first.

        That child sets it, for something that only one child can have. It is a time and no
        flag, so that the others do not wait for long when that child dies.
        """
        return int(self._header[2])

    @others_wait_until.setter
    def others_wait_until(self, moment: int) -> None:
        self._header[2] = moment

    @property
    def beat(self) -> int:
        """When the supervisor last said that it goes round."""
        return int(self._header[3])

    @beat.setter
    def beat(self, moment: int) -> None:
        self._header[3] = moment

    @property
    def contact(self) -> Contact:
        """What the keeper last heard of the database. Only the keeper writes it."""
        return Contact(self._header[4])

    @contact.setter
    def contact(self, heard: Contact) -> None:
        self._header[4] = heard

    @property
    def strength(self) -> int:
        """How many workers the pool should have, by the supervisor. 0 before its first round."""
        return int(self._header[5])

    @strength.setter
    def strength(self, workers: int) -> None:
        self._header[5] = workers

    # How many workers have ended: the supervisor counts.

    def count_end(self, death: Death) -> None:
        """Count the end of a worker."""
        self._header[_ENDS_AT + (len(Cause) if death.clean else death.cause)] += 1

    def ends(self) -> dict[Cause | None, int]:
        """How many workers have ended by each cause; None: by themselves, with exit code 0."""
        first, clean = _ENDS_AT, _ENDS_AT + len(Cause)
        counts: dict[Cause | None, int] = {each: self._header[first + each] for each in Cause}
        return {**counts, None: self._header[clean]}

    # The ring of deaths: the supervisor writes it, and one reader acknowledges.

    def record(self, death: Death, box: Box | None = None) -> None:
        """Append a death and its black box (only the supervisor does).

        When the ring is full, it overwrites the oldest unread death. The lease of that child then
        expires by itself.
        """
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
        if box is not None:
            self._keep(written, box.packed())
        self._header[0] = written + 1

    def unread_deaths(self) -> list[tuple[int, Death]]:
        """Deaths not yet acknowledged, oldest first, each with its number."""
        written = self._header[0]
        # The supervisor may be overwriting the very oldest in this moment.
        oldest = max(self._header[1], written - DEATHS_KEPT + 1)
        found = []
        for number in range(oldest, written):
            start = (number % DEATHS_KEPT) * _DEATH_WORDS
            slot, pid, lease, task, attempt, cause, code, seconds = self._deaths[
                start : start + _DEATH_WORDS
            ]
            if self._header[0] - number >= DEATHS_KEPT:
                continue  # it was overwritten while this read it
            found.append(
                (number, Death(slot, pid, lease, task, attempt, Cause(cause), code, seconds))
            )
        return found

    def acknowledge(self, number: int) -> None:
        """Do not report this death or an earlier one again (only the reader calls it)."""
        self._header[1] = number + 1

    def _keep(self, number: int, data: bytes) -> None:
        """Keep the box of a death. Its number goes out last: a reader that has it has the rest."""
        at = number % black_box.KEPT
        self._boxes[_BOX_WORDS * at] = -1
        self._box_texts[at * black_box.ROOM : at * black_box.ROOM + len(data)] = data
        self._boxes[_BOX_WORDS * at + 1] = len(data)
        self._boxes[_BOX_WORDS * at] = number

    def box(self, number: int) -> Box:
        """The black box of the death with this number. An empty one, where that is gone."""
        at = number % black_box.KEPT
        start = at * black_box.ROOM
        data = bytes(self._box_texts[start : start + self._boxes[_BOX_WORDS * at + 1]])
        whole = data and self._boxes[_BOX_WORDS * at] == number
        return Box.unpacked(data) if whole else Box()

    def lines(self) -> list[str]:
        """The scoreboard as text, a line for each child."""
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
