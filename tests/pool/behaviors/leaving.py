"""Children that leave or die, in their own ways."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from typing import Any

from pool import Child
from tests.pool.behaviors.steps import begin, end, rest, up
from tests.pool.behaviors.working import waits
from tests.pool.talk import note, options, told


def crashes(child: Child) -> None:
    """Does not come up until the test heals it."""
    note("crashing", name=child.name)
    if not told("heal"):
        raise RuntimeError("the app is broken")
    waits(child)


def leaves_at_once(child: Child) -> None:
    note("leaving", name=child.name)


def crashes_after_work(child: Child) -> None:
    up(child)
    begin(child)
    end(child)
    while not told("crash"):
        time.sleep(0.01)
    os._exit(5)


def crashes_idle(child: Child) -> None:
    """Comes up, does nothing of use and crashes."""
    up(child)
    while not told("crash"):
        time.sleep(0.01)
    os._exit(5)


def exits(child: Child) -> int:
    """Leaves with a code once the test says so."""
    up(child)
    while not told("exit"):
        time.sleep(0.01)
    return options.code


def dies_of_signal(child: Child) -> None:
    """As exits(), but by a signal of that number."""
    up(child)
    while not told("exit"):
        time.sleep(0.01)
    os.kill(os.getpid(), options.code)


def leaves_badly(child: Child) -> Any:
    """Returns what is no exit code."""
    up(child)
    return "no exit code"


def is_interrupted_at_exit(child: Child) -> None:
    """Leaves while an alarm that raises, as a task may have set, is about to go off."""
    up(child)
    begin(child)

    def ring(number: int, frame: object) -> None:
        raise ZeroDivisionError("an alarm from the task")

    class Slow(logging.Handler):
        def flush(self) -> None:
            time.sleep(1.8)

    signal.signal(signal.SIGALRM, ring)
    slow = Slow()
    logging.getLogger("slow").addHandler(slow)
    # Bites while the logs are flushed, when the role has long returned.
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    if child.slot.generation > 1:
        signal.setitimer(signal.ITIMER_REAL, 0)
        rest(child)


def leaves_output(child: Child) -> None:
    """Has said something that is yet in a buffer when it leaves."""
    up(child)
    sys.stdout.write("last words")  # a line would be out at its end
    rest(child)


def crashes_unless_first(child: Child) -> None:
    (waits if child.number == 1 else crashes)(child)


def comes_up_when_told(child: Child) -> None:
    """As waits(), but those after the first in the seat come up when the test says so."""
    if child.slot.generation > 1:
        note("boots", name=child.name)
        while not told("come up"):
            time.sleep(0.01)
    waits(child)


def comes_up_once(child: Child) -> None:
    """As crashes(), but for the first one in its seat."""
    (waits if child.slot.generation == 1 else crashes)(child)


def dies_at_once(child: Child) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def works_once(child: Child) -> None:
    """As crashes_after_work(), but its successors do not come up."""
    (crashes_after_work if child.slot.generation == 1 else crashes)(child)


def crashes_unseen(child: Child) -> None:
    """The first one comes up and dies while the supervisor is frozen; no other comes up."""
    if child.slot.generation > 1:
        crashes(child)
    os.kill(child.supervisor_pid, signal.SIGSTOP)
    up(child)
    os._exit(5)


def raises_system_exit(child: Child) -> None:
    """As sys.exit() does, with nothing, a number or a text; its successors rest."""
    up(child)
    if child.slot.generation == 1:
        sys.exit([None, 7, "a text"][child.number - 1])
    rest(child)
