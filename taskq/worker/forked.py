"""A process that a task has forked: it begins without the connections of its worker."""

from __future__ import annotations

import os

from taskq.connections.restoring import abandon_connections, close_copy
from taskq.store.session import StoreSession


def begin_without_connections(session: StoreSession) -> None:
    """From now on, leave this session and Django's connections to the worker in each process that
    is forked."""

    def abandon() -> None:
        abandon_connections()
        if (store := session.current) is not None and store.connection.fileno() is not None:
            close_copy(store.connection)

    os.register_at_fork(after_in_child=abandon)
