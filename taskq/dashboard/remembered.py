"""What the live parts show is asked of the database once, however many people look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

#: The most answers that are kept. A person who goes through many names would fill the memory.
MANY = 200


class Remembered:
    """Answers, each for some seconds. Of threads that want the same one, one asks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asking: dict[Hashable, threading.Lock] = {}
        self._answers: dict[Hashable, tuple[float, Any]] = {}

    def get(self, key: Hashable, ask: Callable[[], T], *, seconds: float) -> T:
        """The answer to ``ask()``, at most so many seconds old."""
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            until, answer = self._answers.get(key, (0.0, None))
            if self._clock() >= until:
                answer = ask()
                with self._lock:
                    self._forget_old()
                    self._answers[key] = self._clock() + seconds, answer
            found: T = answer
            return found

    def forget(self) -> None:
        """Ask anew from now on: something has been changed here."""
        with self._lock:
            self._answers.clear()

    def _forget_old(self) -> None:
        if len(self._answers) < MANY:
            return
        now = self._clock()
        for key in [key for key, (until, _answer) in self._answers.items() if until <= now]:
            del self._answers[key]
            self._asking.pop(key, None)


#: The answers of this process.
remembered = Remembered()
