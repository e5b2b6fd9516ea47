"""Django's connections of this thread, by their aliases.

Without an event loop they are in a threading.local. Django finds out about the loop by raising and
catching an error, each time. That takes longer than encoding a task's arguments.
"""

from __future__ import annotations

from asyncio import _get_running_loop

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler

from taskq import shortcuts


def connection_of(alias: str) -> BaseDatabaseWrapper:
    """The same as ``connections[alias]``."""
    if _get_running_loop() is None and type(connections).__getitem__ is _DJANGOS:
        found: BaseDatabaseWrapper | None = getattr(_of_threads, alias, None)
        if found is not None:
            return found
    return connections[alias]


def initialized() -> list[BaseDatabaseWrapper]:
    """As ``connections.all(initialized_only=True)``, which looks twice for each of them."""
    if _get_running_loop() is None and type(connections).__getitem__ is _DJANGOS and _of_threads:
        found = [getattr(_of_threads, alias, None) for alias in connections.settings]
        return [each for each in found if each is not None]
    return list(connections.all(initialized_only=True))


_DJANGOS = ConnectionHandler.__getitem__
_of_threads = shortcuts.storage_of_threads()
