"""A time limit for a call that may block in the kernel, such as a write to a full pipe."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Stuck(BaseException):
    """The time is up. A BaseException, so ``except Exception`` in the block cannot catch it."""


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raise Stuck in the block when it has taken so many seconds.

    The limit is set by SIGALRM, because only a signal ends a system call of the main thread.
    So it works in the main thread alone. An alarm that was set before is paused meanwhile.

    A process that was halted, or did not get the CPU, finds its time up when it goes on. So the
    first ring, at half the time, raises nothing: from then on the block has the other half.
    """
    inside, rung = True, False

    def ring(number: int, frame: FrameType | None) -> None:
        nonlocal rung
        if rung and inside:
            raise Stuck(f"not done within {seconds:g} s")
        if inside:
            rung = True
            signal.setitimer(signal.ITIMER_REAL, seconds / 2, seconds / 2)

    handler = signal.signal(signal.SIGALRM, ring)
    # The alarm repeats, because code in the block may have swallowed the first exception.
    timer = signal.setitimer(signal.ITIMER_REAL, seconds / 2, seconds / 2)
    try:
        try:
            yield
        finally:
            inside = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
