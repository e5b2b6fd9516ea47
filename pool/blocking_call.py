"""A time limit for a call that may block in the kernel, such as a write to a full pipe."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Stuck(BaseException):
    """The time was up. No Exception: whoever catches those would go on waiting."""


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raise Stuck in the block when it has taken so many seconds.

    By SIGALRM, as nothing else ends a system call of the only thread. So it is for the
    main thread alone, and an alarm that was set before waits meanwhile.
    """
    inside = True

    def ring(number: int, frame: FrameType | None) -> None:
        if inside:
            raise Stuck(f"not done within {seconds:g} s")

    handler = signal.signal(signal.SIGALRM, ring)
    # Again and again, should something in the block have swallowed the first.
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        try:
            yield
        finally:
            inside = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
