"""A seat: a place in the pool for one child, and the child that has it now."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field

from pool import clock, groups, kernel
from pool.backoff import Backoff
from pool.black_box import FATAL, Box, Sample, shortened
from pool.child import Role
from pool.death import Cause, Death, cause_of
from pool.kernel import OomCounter
from pool.log import log
from pool.slot import Slot, State
from pool.stack_file import Ask

#: The death of a child that lived for more seconds is not part of a crash loop. This is the
#: longest wait in one.
STABLE = 30.0
#: KiB by which a child's memory grows until it is asked again where it is. The kernel may kill it
#: for its memory, and then nothing else can tell.
GROWTH = 32 * 1024


@dataclass
class Seat:
    """A place for a child of a role. Warns and kills the child, and says when it died and why."""

    role: Role
    number: int
    slot: Slot
    pid: int = 0
    due: int = 0  # when a child may be forked for it
    leaving: bool = False  # the seat goes when its child ends
    asked_to_stop: bool = False
    verdict: Cause | None = None  # why the supervisor killed the child
    condemned: tuple[int, int] = (0, 0)  # the run that the child was killed for
    warned: tuple[int, int, int] = (0, 0, 0)  # the run that was warned, and for which soft deadline
    looked_at: tuple[int, int] = (0, 0)  # the run that the child was in when it wrote its stack
    last_looked: bool = False  # it was asked for the stacks of all threads, to be killed then
    looked_kib: int = 0  # the memory that the child had then
    stack_before: str = ""  # what it had written before, in the same run
    backoff: Backoff = field(default_factory=Backoff)
    refusals: Backoff = field(default_factory=lambda: Backoff(first=1.0))  # failed forks

    @property
    def name(self) -> str:
        return f"{self.role.name} {self.number}" if self.role.scalable else self.role.name

    # The child's life

    def prepare(self) -> None:
        """Clear the slot for the child that will be forked next."""
        slot = self.slot
        slot.generation += 1
        slot.number = self.number
        slot.born = slot.beat = clock.now()
        slot.state = State.BOOTING
        slot.task_id = slot.soft_deadline = slot.hard_deadline = 0
        slot.doubtful_lease = slot.unwritten_task = slot.progress_task = 0
        slot.look_began = slot.look_ended = slot.others = slot.watches = slot.listens = 0
        slot.seeks = slot.found = slot.found_until = 0
        slot.clear_wakes()
        slot.memory.clear()
        self.verdict, self.asked_to_stop = None, False
        self.looked_at, self.looked_kib, self.last_looked = (0, 0), 0, False
        self.stack_before = ""

    def occupy(self, pid: int) -> None:
        self.pid = self.slot.pid = pid
        self.refusals.reset()

    def refuse(self) -> float:
        """The fork failed. Returns the seconds until it may be tried again."""
        self.slot.state = State.EMPTY
        return self._wait(self.refusals.next())

    def ask_to_stop(self) -> None:
        self.asked_to_stop = True
        self.slot.asked = self.slot.generation
        # The child's signal handler wakes it too, but may run only after a sleep that just began.
        self.slot.wake()
        self._send(signal.SIGTERM)

    @property
    def run(self) -> tuple[int, int]:
        """Identifies the run in progress: its task and when it began."""
        return self.slot.task_id, self.slot.since

    def warn(self, run: tuple[int, int], deadline: int) -> None:
        """Tell the child that a soft deadline of this run has passed. Once for each deadline."""
        if self.warned != (*run, deadline):
            self.warned = (*run, deadline)
            self._send(signal.SIGUSR1)

    def condemn(self, verdict: Cause) -> None:
        """Kill the child and the programs that it has started."""
        self.verdict = verdict
        self._send(signal.SIGKILL)
        groups.end(self.pid)

    def condemn_for(self, run: tuple[int, int], verdict: Cause) -> None:
        """Kill the child because a hard deadline of this run has passed."""
        self.condemned = run
        self.condemn(verdict)

    def sample_memory(self, now: int) -> None:
        """Note how much memory the child has. Ask where it is, if that grew by much."""
        slot, kib = self.slot, kernel.resident_kib(self.pid)
        if kib == 0:
            return  # it is dead, or the system cannot say
        slot.memory.add(now, kib)
        if kib < self.looked_kib or not slot.task_id:
            self.looked_kib = kib
        elif kib >= self.looked_kib + GROWTH:
            self.looked_kib = kib
            self.note_look()
            slot.stack_file.ask(self.pid, Ask.OWN)

    def note_look(self) -> None:
        """Call before the child is asked for its stack. It may die before it has written that, so
        the one before is kept if it is of the same run."""
        same = self.looked_at == self.run
        self.stack_before = (self.slot.stack_file.read() or self.stack_before) if same else ""
        self.looked_at = self.run

    def out_of_patience(self, now: int) -> bool:
        role, booting = self.role, self.slot.state == State.BOOTING
        limits = [role.patience, role.boot_patience if booting else None]
        hung = now - self.slot.beat
        return any(limit is not None and hung > clock.nanoseconds(limit) for limit in limits)

    # Its death

    def death(self, status: int, oom: OomCounter) -> Death:
        """Describe the death of the child that was reaped with this wait status."""
        slot = self.slot
        cause, code = cause_of(status)
        # Writing the last stacks may crash the child just before the kill.
        crashed = self.last_looked and self.verdict is not None
        if cause is Cause.SIGNAL and (code == signal.SIGKILL or crashed):
            of_a_run = self.verdict in (Cause.TIME_LIMIT, Cause.ENDED)
            if of_a_run and self.run != self.condemned:
                # That run ended just before the kill. The kill is no fault of the run after it.
                cause = Cause.STOPPED
            elif self.verdict is not None:
                cause = self.verdict
            elif oom.advanced():
                cause = Cause.OUT_OF_MEMORY
        seconds = (clock.now() - slot.since) // clock.SECOND if slot.task_id else 0
        return Death(
            slot.index,
            self.pid,
            slot.held_lease(),
            slot.task_id,
            slot.attempt,
            cause,
            code,
            seconds,
        )

    def box(self) -> Box:
        """What there is to say about the child that was reaped, beside its death."""
        slot, now = self.slot, clock.now()
        stack = slot.stack_file.read() or self.stack_before
        if FATAL not in stack and self.looked_at != self.run:
            stack = ""  # of an earlier run
        return Box(
            slot.label if slot.task_id else "",
            shortened(stack),
            tuple(Sample((now - at) / clock.SECOND, kib) for at, kib in slot.memory.samples()),
        )

    def vacate(self) -> float:
        """The child is dead. Returns the seconds until the next fork: more in a crash loop."""
        slot = self.slot
        old = clock.now() - slot.born > clock.nanoseconds(STABLE)
        self.pid = slot.pid = 0
        slot.state = State.EMPTY
        slot.task_id = 0
        if old or slot.worked == slot.generation or self.asked_to_stop or self.verdict is not None:
            self.backoff.reset()
            return self._wait(0.0)
        return self._wait(self.backoff.next())

    def _wait(self, seconds: float) -> float:
        self.due = clock.now() + clock.nanoseconds(seconds)
        return seconds

    def _send(self, number: signal.Signals) -> None:
        # No other process can have this pid: the supervisor has not reaped the child yet.
        try:
            os.kill(self.pid, number)
        except PermissionError as error:  # the child has become a program of another user
            log.error("cannot send %s to %s: %s", number.name, self.name, error)
