"""Undo what a task may have left behind, so that the worker is sound for the next."""

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

#: A task whose last runs, so many, have left nothing behind is no longer looked at after each.
TRUSTED = 20
#: Among such runs, looks take one part in so many of the time.
LOOK_COST = 500


class Cleanup:
    """What a worker's process is like before the first task, and has to be like before each.

    traits: what is looked at in the process, see :mod:`pool.leftovers`.
    """

    def __init__(self, traits: Sequence[Trait] = ()) -> None:
        # By its descriptor and not by its name, under which another may stand by then: that of a
        # new release.
        self._directory = _opened(".")
        self._name = _directory()
        if self._directory is not None:
            weakref.finalize(self, os.close, self._directory)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self._aliases = [alias for alias in connections if _can_be_opened(alias)]
        self._liveness = Liveness()
        self._leftovers = Leftovers(traits)
        self._look_due = 0
        #: A run was made since the last look.
        self._behind = False
        #: By the name of a task: how many runs in a row have left nothing behind.
        self._clean: dict[str, int] = {}
        #: Connections that the next run may find open.
        self.opened = self._in_use()
        #: No run may follow in this process.
        self.beyond_repair = False

    def before(self, *, quick: bool) -> bool:
        """Right before a run: what others have left is undone, and its connections are alive.
        Whether it may be made here.

        quick: it is one of many that take next to no time.
        """
        if self._behind and not quick:
            self.look()
        self._liveness.check(self.opened, again=quick)
        return not self.beyond_repair

    def restore(self, name: str = "", now: int = 0) -> None:
        """Right after a run.

        name: of the task. now: on the pool's clock.
        """
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
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
        """There is nothing to do: all that is left behind is undone, connections are closed.
        Whether there may be more runs here."""
        if self._behind:
            self.look()
        release_connections()
        self.opened = self._in_use()
        return not self.beyond_repair

    def look(self) -> bool:
        """Undo what harms the next run, or have that made by another process; whether there was
        anything."""
        began = clock.now()
        found = self._leftovers.undo()
        self.beyond_repair |= self._leftovers.beyond_repair
        self._behind = False
        now = clock.now()
        self._look_due = now + LOOK_COST * (now - began)
        return found

    def _in_use(self) -> list[BaseDatabaseWrapper]:
        # To have Django list those that are in use takes five times as long.
        for alias in self._aliases:
            if connection_of(alias).connection is not None:
                return [each for each in map(connection_of, self._aliases) if each.connection]
        return []


def _opened(directory: str) -> int | None:
    """None where this user may not: one that was entered as another."""
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
    """Have Django make its caches in the context that this process begins with.

    It keeps them by context, and each run has one of its own: every task would connect anew.
    """
    for alias in caches:
        # What is wrong with one, whoever uses it is told.
        with suppress(Exception):
            caches[alias]


def _can_be_opened(alias: str) -> bool:
    """Not where its driver is missing, as of a database that only others use."""
    try:
        return connections[alias] is not None
    except (ImproperlyConfigured, ImportError):
        return False
