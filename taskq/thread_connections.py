"""Django's connections of this thread, by their aliases."""

from __future__ import annotations

import threading
from asyncio import _get_running_loop
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler


def connection_of(alias: str) -> BaseDatabaseWrapper:
    """``connections[alias]``.

    Where no event loop runs they are in a threading.local. To find that out Django's way raises
    an error and catches it, each time, which takes longer than to encode a task's arguments.
    """
    if _get_running_loop() is None and type(connections).__getitem__ is _DJANGOS:
        found: BaseDatabaseWrapper | None = getattr(_of_threads, alias, None)
        if found is not None:
            return found
    return connections[alias]


_DJANGOS = ConnectionHandler.__getitem__
_storage: Any = getattr(connections._connections, "_storage", None)  # type: ignore[attr-defined]
_of_threads = _storage if isinstance(_storage, threading.local) else None
