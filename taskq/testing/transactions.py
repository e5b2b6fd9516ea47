"""Transactions of a task that runs inside of the transaction of a test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

log = logging.getLogger("taskq")


@contextmanager
def mended() -> Iterator[None]:
    """Keep the open transactions usable when the block breaks one.

    After a failed statement PostgreSQL refuses all others in the transaction. In that case all that
    the block wrote is rolled back. Otherwise it stays.
    """
    places = [(connection, connection.savepoint()) for connection in _in_a_transaction()]
    try:
        yield
    finally:
        for connection, place in places:
            _mend(connection, place)


@contextmanager
def commits() -> Iterator[None]:
    """Call the block's ``on_commit`` callbacks at its end, because a worker would commit there.

    Django would wait for the commit of the test's transaction, which never comes.
    """
    earlier = [(connection, len(connection.run_on_commit)) for connection in _in_a_transaction()]
    try:
        yield
    finally:
        for connection, count in earlier:
            _call_back(connection, count)


def _in_a_transaction() -> list[BaseDatabaseWrapper]:
    return [each for each in connections.all(initialized_only=True) if each.in_atomic_block]


def _mend(connection: BaseDatabaseWrapper, place: str | None) -> None:
    if place is None:  # the database has no savepoints
        return
    broken = connection.needs_rollback
    if not broken:
        try:
            connection.savepoint_commit(place)
        except DatabaseError:
            broken = True
    if broken:
        connection.set_rollback(False)
        connection.savepoint_rollback(place)


def _call_back(connection: BaseDatabaseWrapper, earlier: int) -> None:
    # One callback may register others.
    while len(connection.run_on_commit) > earlier:
        entry: Any = connection.run_on_commit.pop(earlier)
        _, function, robust = entry
        try:
            function()
        except Exception:
            if not robust:
                raise
            log.exception("%r failed, a callback of on_commit()", function)
