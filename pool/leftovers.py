"""State of the process that a run may change and that would harm the next run.

Between two runs these changes are undone. If one cannot be undone, the process is replaced. Some
changes are left as they are, because a library may make them once and rely on them later: the
environment, ``sys.path``, handlers of harmless signals, raised limits, threads.
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

    look: returns the state now. Raises OSError or ValueError where there is no such state.
    put_back: called with the state before. Raises when it cannot restore that state.
    harms: called with the state before and now. Returns whether the change harms the next run. By
        default any change does, which is the safe choice.
    """

    name: str
    look: Callable[[], Any]
    put_back: Callable[[Any], object]
    harms: Callable[[Any, Any], bool] = operator.ne


class Leftovers:
    """Remembers the state of this process at the time when the object is made."""

    def __init__(self, traits: Sequence[Trait]) -> None:
        self._was: list[tuple[Trait, Any]] = []
        for trait in traits:
            # There may be no such state, for example no standard output.
            with contextlib.suppress(OSError, ValueError):
                self._was.append((trait, trait.look()))
        self._said: set[str] = set()
        #: Something cannot be put back: another process must replace this one.
        self.beyond_repair = False

    def undo(self) -> bool:
        """Put back what would harm the next run. Returns whether there was anything."""
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
        """Log a text only once: a task may make the same change in each run."""
        if text not in self._said:
            self._said.add(text)
            log.log(level, text)


def _fewer(was: Any, now: Any) -> bool:
    return bool(now < was)


def _below(now: int, was: int, endless: int) -> bool:
    return now != endless and (was == endless or now < was)


#: Limits of the kernel that a process can die or fail of. The one of core dumps is left out:
#: libraries lower it.
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
    os.seteuid(was[1])  # first: the calls below may need its rights
    if os.getgroups() != list(was[6:]):
        os.setgroups(was[6:])
    os.setresgid(*was[3:6])
    os.setresuid(*was[:3])


def _scheduling() -> tuple[int, int, frozenset[int]]:
    """The scheduling class, its priority, and the cores that this process may use."""
    if not kernel.LINUX:
        raise ValueError("this system cannot say")
    priority = os.sched_getparam(0).sched_priority
    return os.sched_getscheduler(0), priority, frozenset(os.sched_getaffinity(0))


def _reschedule(was: tuple[int, int, frozenset[int]]) -> None:
    os.sched_setscheduler(0, was[0], os.sched_param(was[1]))
    os.sched_setaffinity(0, was[2])


def _is_held_back(was: Any, now: Any) -> bool:
    return bool(was[:2] != now[:2] or not was[2] <= now[2])


_TIMERS = (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def _timers() -> list[bool]:
    """For each timer that counts CPU time, whether it runs. Such a timer ends the process."""
    return [signal.getitimer(timer)[0] > 0 for timer in _TIMERS]


def _stop_timers(was: list[bool]) -> None:
    for timer, ran in zip(_TIMERS, was, strict=True):
        if not ran:
            signal.setitimer(timer, 0)


def _umask() -> int:
    mask = os.umask(0o077)  # the only way to ask; strict, as a thread may open a file meanwhile
    os.umask(mask)
    return mask


def _highest_descriptor() -> int:
    """The number that the next descriptor would get. About as many are open."""
    try:
        probe = os.dup(2)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.close(probe)
    return probe


def _nearly_all(was: int, now: int) -> bool:
    """Whether the descriptors that are left may be too few for a run."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most != resource.RLIM_INFINITY and now > was and now > most * kernel.FULL


def _give_up(was: int) -> None:
    raise ValueError(f"more than {_highest_descriptor()} are open")


#: The traits of any process.
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
    # Python cannot say whether a dump is due, so each look cancels it.
    Trait(
        "dump_traceback_later()",
        faulthandler.cancel_dump_traceback_later,
        lambda was: None,
    ),
)


def traits_of(child: Child) -> tuple[Trait, ...]:
    """The traits of a child of a pool. They include its ties to the supervisor."""
    programs = Programs()
    return (
        *TRAITS,
        # After the user: the kernel forgets this signal whenever the user changes, even back.
        Trait(
            "parent-death signal",
            kernel.parent_death_signal,
            lambda was: kernel.die_with_parent(child.supervisor_pid),
        ),
        Trait("process group", os.getpgrp, lambda was: os.setpgid(0, was)),
        # Put back in each look: a library may have set a handler without Python's knowledge.
        Trait("signal handlers", child.install_signals, lambda was: None),
        # Put back in each look for the same reason.
        Trait("stack file", child.slot.stack_file.watch, lambda was: None),
        Trait("programs", programs.left, lambda was: programs.end()),
    )
