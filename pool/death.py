"""Why a child died: as numbers for the scoreboard, and as words for people."""

import os
import signal
from dataclasses import dataclass
from enum import IntEnum


class Cause(IntEnum):
    """What ended a child."""

    EXIT = 0  # it ended by itself; the code says how
    SIGNAL = 1  # a signal from outside of the pool; the code is its number
    OUT_OF_MEMORY = 2  # the kernel: the memory cgroup was full
    TIME_LIMIT = 3  # the supervisor: its task ran past the hard limit
    LEASE_LOST = 4  # the supervisor: its lease expired before it was renewed
    UNRESPONSIVE = 5  # the supervisor: it stopped going round its loop
    STOPPED = 6  # the supervisor: it was told to stop and still worked when the time was up
    ENDED = 7  # the supervisor: its run was asked to end and did not end in time


#: Causes that are not the fault of the work that the child was doing.
BLAMELESS = frozenset({Cause.LEASE_LOST, Cause.UNRESPONSIVE, Cause.STOPPED, Cause.ENDED})


@dataclass(frozen=True)
class Death:
    """What is known of a child that was reaped.

    ``task_id`` and ``attempt`` name the run in progress at its death (0: none). ``lease`` is the
    lease that it held its work under. ``seconds`` is how long the run had taken.
    """

    slot: int
    pid: int
    lease: int
    task_id: int
    attempt: int
    cause: Cause
    code: int
    seconds: int = 0

    @property
    def clean(self) -> bool:
        """Whether the child ended by itself, with exit code 0."""
        return self.cause == Cause.EXIT and self.code == 0

    def __str__(self) -> str:
        match self.cause:
            case Cause.EXIT:
                return f"exit code {self.code}"
            case Cause.SIGNAL:
                return f"killed by {_signal_name(self.code)}"
            case Cause.OUT_OF_MEMORY:
                return "out of memory (killed by the kernel)"
            case Cause.TIME_LIMIT:
                return f"time limit passed after {self.seconds} s"
            case Cause.LEASE_LOST:
                return "lease ran out unrenewed"
            case Cause.UNRESPONSIVE:
                return "no longer responsive"
            case Cause.STOPPED:
                return "stopped while at work"
            case Cause.ENDED:
                return "killed, as its run was asked to end and did not"


def cause_of(status: int) -> tuple[Cause, int]:
    """The cause and its code in a wait status."""
    if os.WIFSIGNALED(status):
        return Cause.SIGNAL, os.WTERMSIG(status)
    return Cause.EXIT, os.waitstatus_to_exitcode(status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"
