"""Undo what a task may have left behind in the process, before the next task runs there."""

from __future__ import annotations

import logging
import os
import signal
import weakref
from collections.abc import Sequence
from contextlib import suppress

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from pool import clock
from pool.leftovers import Leftovers, Trait
from taskq.connections import sessions
from taskq.connections.liveness import Liveness
from taskq.connections.of_thread import connection_of
from taskq.connections.restoring import release_connections, restore_connections

log = logging.getLogger("taskq")

#: After so many runs in a row that left nothing behind, a task is no longer checked after each run.
TRUSTED = 20
#: The checks among such runs take one part in so many of the time.
LOOK_COST = 500


class Cleanup:
    """Keeps a worker's process as it was before its first task.

    traits: what is checked in the process, see :mod:`pool.leftovers`.
    """

    def __init__(self, traits: Sequence[Trait] = ()) -> None:
        # By its descriptor: a deployment may put another directory under the same name.
        self._directory = _opened(".")
        self._name = _directory()
        if self._directory is not None:
            weakref.finalize(self, os.close, self._directory)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self._aliases = [alias for alias in connections if _can_be_opened(alias)]
        self._liveness = Liveness()
        self._leftovers = Leftovers(traits)
        self._look_due = 0
        #: There was a run since the last check.
        self._behind = False
        #: By the name of a task: how many runs in a row have left nothing behind.
        self._clean: dict[str, int] = {}
        #: Connections that the next run may find open.
        self.opened = self._in_use()
        #: No run may follow in this process.
        self.beyond_repair = False

    def before(self, *, quick: bool) -> bool:
        """Call right before a run. Undoes what earlier runs have left, and checks that connections
        are alive. False if no run may follow in this process.

        quick: the run is one of many quick ones.
        """
        if self._behind and not quick:
            self.look()
        self._liveness.check(self.opened, again=quick)
        return not self.beyond_repair

    def restore(self, name: str = "", now: int = 0) -> None:
        """Call right after a run.

        name: of the task. now: on the pool's clock.
        """
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._directory is not None and _directory() != self._name:
            try:
                os.fchdir(self._directory)
            except OSError as error:  # the task has closed what it did not open
                log.error("a task left the working directory, and there is no way back: %s", error)
                self.beyond_repair = True
        self.opened = self._in_use()
        if self.opened or sessions.foreign:
            restore_connections()
        clean = self._clean.get(name, 0)
        if clean < TRUSTED or now >= self._look_due:
            self._clean[name] = 0 if self.look() else clean + 1
        else:
            self._behind = True

    def settle(self) -> bool:
        """Call before a sleep. Undoes what runs have left, and closes connections. False if no run
        may follow in this process."""
        if self._behind:
            self.look()
        release_connections()
        self.opened = self._in_use()
        return not self.beyond_repair

    def look(self) -> bool:
        """Undo what would harm the next run. Whether there was anything. Sets beyond_repair if it
        cannot be undone."""
        began = clock.now()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        found = self._leftovers.undo()
        self.beyond_repair |= self._leftovers.beyond_repair
        self._behind = False
        now = clock.now()
        self._look_due = now + LOOK_COST * (now - began)
        return found

    def _in_use(self) -> list[BaseDatabaseWrapper]:
        # Django's own list of them takes five times as long.
        for alias in self._aliases:
            if connection_of(alias).connection is not None:
                return [each for each in map(connection_of, self._aliases) if each.connection]
        return []


def _opened(directory: str) -> int | None:
    """The directory's descriptor. None if this user may not open it."""
    try:
        return os.open(directory, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY)
    except OSError:
        return None


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # somebody removed it, say
        return ""


def open_caches() -> None:
    """Make Django's caches in the context that this process begins with.

    Django keeps them by context, and each run has its own: else every task would connect anew.
    """
    for alias in caches:
        # If one is broken, the task that uses it gets the error.
        with suppress(Exception):
            caches[alias]


def _can_be_opened(alias: str) -> bool:
    """Whether the database's driver is there. It may be missing where only others use it."""
    try:
        return connections[alias] is not None
    except (ImproperlyConfigured, ImportError):
        return False
