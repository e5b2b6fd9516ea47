"""The signals of the supervisor: noted when they come, and one place to wait for them."""

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
#: How many of the same signal may wait. For the other signals it is one. There is a limit so that
#: a flood of signals takes neither memory nor all the time.
COUNTED = {"TTIN": 100, "TTOU": 100}


class Signals:
    """The signals that have come and that the supervisor has not acted on yet."""

    def __init__(self) -> None:
        self._noted: deque[str] = deque()

    def open(self) -> None:
        """Note signals from now on. Each of them ends :meth:`wait`."""
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
        """Ignore signals from now on, because the pool has ended cleanly.

        Python restores the default handlers when it ends. A signal that comes after that would
        kill the process and change its exit code.
        """
        for number in numbers():
            signal.signal(number, signal.SIG_IGN)

    def take(self) -> Iterator[str]:
        """The names of the signals that have come, in their order.

        Signals that come meanwhile are for the next call.
        """
        for _ in range(len(self._noted)):
            yield self._noted.popleft()

    def wait(self, timeout: float) -> None:
        """Sleep until a signal comes, but at most ``timeout`` seconds."""
        with contextlib.suppress(BlockingIOError):
            if self._wakeup.poll(timeout * 1000):
                while os.read(self._wakeup_reader, 512):
                    pass

    def _note(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name.removeprefix("SIG")
        if self._noted.count(name) < COUNTED.get(name, 1):
            self._noted.append(name)


#: Signals that came before there was a supervisor.
_early: list[str] = []


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Note signals until a supervisor does. If the block fails, the handlers are as before."""
    before = note_early()
    try:
        yield
    except Exception:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise


def note_early() -> dict[signal.Signals, Any]:
    """Note signals while a pool starts. Returns the handlers that were there before.

    A signal that stops a pool ends the start with exit code 0, because no task runs yet. By default
    such a signal would kill the process. Process 1 has no such defaults and would ignore it.
    """
    return {number: signal.signal(number, _note_early) for number in numbers() - {signal.SIGCHLD}}


def _note_early(number: int, frame: FrameType | None) -> None:
    name = signal.Signals(number).name.removeprefix("SIG")
    # HUP replaces workers, and there are none yet.
    if name != "HUP" and _early.count(name) < COUNTED.get(name, 1):
        _early.append(name)
    if name in _STOPS:
        for each in numbers():
            signal.signal(each, signal.SIG_IGN)  # the next signal must not change the exit code
        raise SystemExit(0)


def numbers() -> set[signal.Signals]:
    """The numbers of all signals that the supervisor acts on."""
    return {getattr(signal, f"SIG{name}") for name in SIGNALS}
