"""What a run may change in its process, and the next one would suffer from.

All of it is undone between two runs, or the process is replaced. Not in the list, and so left as
it is: what a library sets up once, when it is first used, and relies on from then on. That is the
environment, ``sys.path``, handlers of signals that harm nobody, raised limits, threads.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import gc
import locale
import logging
import operator
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pool import interpreter, kernel
from pool.child import Child
from pool.groups import Programs

log = logging.getLogger("pool")


@dataclass(frozen=True)
class Trait:
    """Something that a run may change.

    look: what it is like now; it raises OSError or ValueError where there is nothing to look at.
    put_back: called with what it was like before; it raises where there is no way back. harms:
    whether the change from what was to what is hurts the next run; any does by default.
    """

    name: str
    look: Callable[[], Any]
    put_back: Callable[[Any], object]
    harms: Callable[[Any, Any], bool] = operator.ne


class Leftovers:
    """Remembers what this process is like when this is made."""

    def __init__(self, traits: Sequence[Trait]) -> None:
        self._was: list[tuple[Trait, Any]] = []
        for trait in traits:
            # There may be nothing to look at, such as no standard output.
            with contextlib.suppress(OSError, ValueError):
                self._was.append((trait, trait.look()))
        self._said: set[str] = set()
        #: Something has changed for good: another process has to take over.
        self.beyond_repair = False

    def undo(self) -> bool:
        """Put back what harms the next run; whether there was anything."""
        found = False
        for trait, was in self._was:
            try:
                if trait.harms(was, trait.look()):
                    found = True
                    trait.put_back(was)
                    self._say(logging.INFO, f"a run changed this, and it is put back: {trait.name}")
            except Exception as error:
                found = self.beyond_repair = True
                self._say(
                    logging.WARNING,
                    f"a run changed this for good, and its process is replaced: {trait.name}: "
                    f"{error}",
                )
        return found

    def _say(self, level: int, text: str) -> None:
        """Once: a task may do it each time."""
        if text not in self._said:
            self._said.add(text)
            log.log(level, text)


def _fewer(was: Any, now: Any) -> bool:
    return bool(now < was)


def _below(now: int, was: int, endless: int) -> bool:
    return now != endless and (was == endless or now < was)


#: Limits of the kernel that end or fail a process. Not that of core dumps: libraries lower it.
_LIMITS = [
    getattr(resource, name)
    for name in "RLIMIT_CPU RLIMIT_AS RLIMIT_DATA RLIMIT_STACK RLIMIT_FSIZE RLIMIT_NOFILE "
    "RLIMIT_NPROC".split()
    if hasattr(resource, name)
]


def _limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(limit) for limit in _LIMITS]


def _any_lower(was: list[tuple[int, int]], now: list[tuple[int, int]]) -> bool:
    return now != was and any(
        _below(ours, theirs, resource.RLIM_INFINITY)
        for pair in zip(now, was, strict=True)
        for ours, theirs in zip(*pair, strict=True)
    )


def _set_limits(was: list[tuple[int, int]]) -> None:
    for limit, pair in zip(_LIMITS, was, strict=True):
        if resource.getrlimit(limit) != pair:
            resource.setrlimit(limit, pair)


def _users() -> tuple[int, ...]:
    if not kernel.LINUX:
        return os.geteuid(), os.getegid()
    return (*os.getresuid(), *os.getresgid(), *os.getgroups())


def _become(was: tuple[int, ...]) -> None:
    if not kernel.LINUX:
        os.seteuid(was[0])
        os.setegid(was[1])
        return
    os.seteuid(was[1])  # first: the others may need its rights
    if os.getgroups() != list(was[6:]):
        os.setgroups(was[6:])
    os.setresgid(*was[3:6])
    os.setresuid(*was[:3])


def _scheduling() -> tuple[int, int, frozenset[int]]:
    """The class and its priority, and the cores that this process may use."""
    if not kernel.LINUX:
        raise ValueError("there is nothing to ask")
    priority = os.sched_getparam(0).sched_priority
    return os.sched_getscheduler(0), priority, frozenset(os.sched_getaffinity(0))


def _reschedule(was: tuple[int, int, frozenset[int]]) -> None:
    os.sched_setscheduler(0, was[0], os.sched_param(was[1]))
    os.sched_setaffinity(0, was[2])


def _is_held_back(was: Any, now: Any) -> bool:
    return bool(was[:2] != now[:2] or not was[2] <= now[2])


_TIMERS = (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def _timers() -> list[bool]:
    """Whether those run that count the CPU time of this process, and end it."""
    return [signal.getitimer(timer)[0] > 0 for timer in _TIMERS]


def _stop_timers(was: list[bool]) -> None:
    for timer, ran in zip(_TIMERS, was, strict=True):
        if not ran:
            signal.setitimer(timer, 0)


def _umask() -> int:
    mask = os.umask(0o077)  # the one way to ask; a thread may open a file meanwhile
    os.umask(mask)
    return mask


def _highest_descriptor() -> int:
    """The number that the next one that is opened has: as many are open at least."""
    try:
        probe = os.dup(2)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.close(probe)
    return probe


def _nearly_all(was: int, now: int) -> bool:
    """Whether what is left may be too little for a run."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most != resource.RLIM_INFINITY and now > was and now > most * kernel.FULL


def _give_up(was: int) -> None:
    raise ValueError(f"more than {_highest_descriptor()} are open")


#: What any process has.
TRAITS: tuple[Trait, ...] = (
    Trait("limits of its resources", _limits, _set_limits, _any_lower),
    Trait("user and groups", _users, _become),
    Trait("timers of its CPU time", _timers, _stop_timers, lambda was, now: _fewer(now, was)),
    Trait("umask", _umask, os.umask),
    Trait(
        "priority (nice)",
        lambda: os.getpriority(os.PRIO_PROCESS, 0),
        lambda was: os.setpriority(os.PRIO_PROCESS, 0, was),
    ),
    Trait("scheduling and cores", _scheduling, _reschedule, _is_held_back),
    Trait("open files", _highest_descriptor, _give_up, _nearly_all),
    Trait("standard output", interpreter.streams, interpreter.set_streams),
    Trait("time zone of the C library", interpreter.zone, interpreter.set_zone),
    Trait(
        "locale",
        lambda: locale.setlocale(locale.LC_ALL),
        lambda was: locale.setlocale(locale.LC_ALL, was),
    ),
    Trait("event loops", interpreter.event_loops, interpreter.set_event_loops),
    Trait(
        "warnings that are errors",
        interpreter.errors_by_warnings,
        interpreter.set_errors_by_warnings,
    ),
    Trait("decimal context", interpreter.decimal_context, interpreter.set_decimal_context),
    Trait("default time-out of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    Trait("logging.disable()", lambda: logging.root.manager.disable, logging.disable),
    Trait("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit, _fewer),
    Trait("garbage collector", gc.isenabled, lambda was: gc.enable(), _fewer),
    # Nobody can ask whether one runs.
    Trait(
        "dump_traceback_later()",
        faulthandler.cancel_dump_traceback_later,
        lambda was: None,
    ),
)


def traits_of(child: Child) -> tuple[Trait, ...]:
    """All of a child of a pool: what ties it to its supervisor, too."""
    programs = Programs()
    return (
        *TRAITS,
        # After the user: the kernel forgets it whenever that changes, also there and back.
        Trait(
            "parent-death signal",
            kernel.parent_death_signal,
            lambda was: kernel.die_with_parent(child.supervisor_pid),
        ),
        Trait("process group", os.getpgrp, lambda was: os.setpgid(0, was)),
        # Put back without a look: a library may have set one behind Python's back.
        Trait("signal handlers", child.install_signals, lambda was: None),
        Trait("programs", programs.left, lambda was: programs.end()),
    )
