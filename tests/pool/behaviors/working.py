"""Children that work, and how they hear of what the pool wants."""

from __future__ import annotations

import ctypes
import os
import signal
import time

from pool import Child
from pool.stack_file import Ask
from tests.pool.behaviors.steps import begin, end, grant, rest, up, work
from tests.pool.talk import note, options, told


def waits(child: Child) -> None:
    up(child)
    rest(child)


def waits_deaf(child: Child) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    waits(child)


def works(child: Child) -> None:
    """Has one task, which ends when the test says so; looks at nothing meanwhile."""
    up(child)
    work(child)


def spins(child: Child) -> None:
    up(child)
    begin(child)
    while True:
        pass


def holds_gil(child: Child) -> None:
    up(child)
    begin(child)
    while True:  # a signal ends a sleep of the C library
        ctypes.PyDLL(None).sleep(60)


def crashes_in_c(child: Child) -> None:
    up(child)
    begin(child)
    ctypes.string_at(0)


def grows(child: Child) -> None:
    """Takes 40 MiB at a time, and notes by how many KiB the supervisor has seen it grow, and
    whether it was asked for its stack."""
    up(child)
    begin(child)
    held = []
    while True:
        if len(held) < 8:
            held.append(bytearray(40 * 2**20))
        time.sleep(0.3)
        kib = [each for _, each in child.slot.memory.samples()]
        note("grew", seen=kib[-1] - kib[0] if kib else 0, asked=child.slot.stack_file.read() != "")


def freezes(child: Child) -> None:
    """Stops itself, with work."""
    up(child)
    begin(child)
    os.kill(os.getpid(), signal.SIGSTOP)


def hides(child: Child) -> None:
    """Takes for itself the signals that ask for its stack."""
    up(child)
    for number in Ask:
        signal.signal(number, lambda number, frame: None)
    begin(child)
    while True:
        pass


def forks_and_crashes(child: Child) -> None:
    """A process that its task has forked crashes, and then the child is killed."""
    up(child)
    begin(child)
    pid = os.fork()
    if pid == 0:
        ctypes.string_at(0)
    note("fork crashed", number=os.WTERMSIG(os.waitpid(pid, 0)[1]))
    os.kill(os.getpid(), signal.SIGKILL)


def is_deaf(child: Child) -> None:
    """Ignores every signal that can be ignored."""
    up(child)
    begin(child)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    note("deaf", name=child.name)
    while True:
        time.sleep(60)


def loses_signals(child: Child) -> None:
    """Its task ignores SIGTERM; afterwards the handlers are put back."""
    up(child)
    begin(child)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("deaf", name=child.name)
    while not told("finish"):
        time.sleep(0.01)
    child.install_signals()
    end(child)
    rest(child)


def has_soft_limit(child: Child) -> None:
    child.on_soft_limit = lambda: note("soft limit", name=child.name)
    works(child)


def is_idle_with_old_lease(child: Child) -> None:
    """Holds a lease that has run out, and no work."""
    up(child)
    child.slot.grant(7000, child.slot.generation, 1)
    rest(child)


def has_a_lease(child: Child) -> None:
    """Holds a lease and, until it is told to begin, no work."""
    up(child)
    grant(child)
    while not told("begin"):
        child.wait(0.01)
    work(child)


def fills_stdout(child: Child) -> None:
    """Writes until nobody takes it any more."""
    up(child)
    note("filling")
    while True:
        os.write(1, b"x" * 4096)


def works_twice(child: Child) -> None:
    """Ends its run when told to, and begins the next at once."""
    up(child)
    begin(child)
    while not told("next"):
        time.sleep(0.001)
    end(child)
    begin(child)
    (options.directory / "begun again").touch()
    time.sleep(60)
