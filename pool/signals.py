"""The signals that the supervisor acts on: noted as they come, and one place to wait for them."""

import contextlib
import os
import select
import signal
from collections import deque
from collections.abc import Iterator
from types import FrameType

SIGNALS = ("CHLD", "TERM", "INT", "QUIT", "HUP", "TTIN", "TTOU", "USR1")
#: How many of a signal may wait to be acted on, where that is not one: a flood must cost
#: neither memory nor the time for anything else.
COUNTED = {"TTIN": 100, "TTOU": 100}


class Signals:
    """Those that have come and are not acted on yet."""

    def __init__(self) -> None:
        self._noted: deque[str] = deque()

    def open(self) -> None:
        """Note signals from now on, and wake up by them."""
        self._wakeup_reader, wakeup_writer = os.pipe()
        self._wakeup = select.poll()
        self._wakeup.register(self._wakeup_reader, select.POLLIN)
        os.set_blocking(self._wakeup_reader, False)
        os.set_blocking(wakeup_writer, False)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        for number in numbers():
            signal.signal(number, self._note)

    def close(self) -> None:
        """It is over, and said to be clean. Python puts handlers back to their defaults as
        it ends: a signal that comes then would be what this process died of."""
        for number in numbers():
            signal.signal(number, signal.SIG_IGN)

    def take(self) -> Iterator[str]:
        """The names of those that have come, in their order; what comes meanwhile is for the
        next time."""
        for _ in range(len(self._noted)):
            yield self._noted.popleft()

    def wait(self, timeout: float) -> None:
        """Sleep until a signal comes, or for so many seconds."""
        with contextlib.suppress(BlockingIOError):
            if self._wakeup.poll(timeout * 1000):
                while os.read(self._wakeup_reader, 512):
                    pass

    def _note(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name.removeprefix("SIG")
        if self._noted.count(name) < COUNTED.get(name, 1):
            self._noted.append(name)


def numbers() -> set[signal.Signals]:
    """All that are acted on."""
    return {getattr(signal, f"SIG{name}") for name in SIGNALS}
