"""The signals that the supervisor acts on: noted as they come, and one place to wait for them."""

import contextlib
import os
import select
import signal
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = ("CHLD", "TERM", "INT", "QUIT", "HUP", "TTIN", "TTOU", "USR1")
_STOPS = ("TERM", "INT", "QUIT")
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
        self._noted.extend(_early)

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


#: Those that came before there was a supervisor to act on them.
_early: list[str] = []


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Note signals from now on, until a supervisor does. If the block fails, they are as before."""
    before = note_early()
    try:
        yield
    except Exception:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise


def note_early() -> dict[signal.Signals, Any]:
    """Note signals while a pool starts; what handled them before.

    One that stops a pool ends the start, with exit code 0: nothing runs yet that would have to be
    finished. Without that it would be what the process dies of, and as process 1, which has no
    defaults, it would never hear of it.
    """
    return {number: signal.signal(number, _note_early) for number in numbers() - {signal.SIGCHLD}}


def _note_early(number: int, frame: FrameType | None) -> None:
    name = signal.Signals(number).name.removeprefix("SIG")
    # To replace what has not begun, by HUP, is to do nothing.
    if name != "HUP" and _early.count(name) < COUNTED.get(name, 1):
        _early.append(name)
    if name in _STOPS:
        for each in numbers():
            signal.signal(each, signal.SIG_IGN)  # the next must not change the exit code
        raise SystemExit(0)


def numbers() -> set[signal.Signals]:
    """All that are acted on."""
    return {getattr(signal, f"SIG{name}") for name in SIGNALS}
