"""A task's transactions, where all that it does is in the transaction of the test."""

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
    """Around what may break a transaction: PostgreSQL refuses all further statements after
    one that failed. Then it is as it was before; else what was written stays."""
    places = [(connection, connection.savepoint()) for connection in _in_a_transaction()]
    try:
        yield
    finally:
        for connection, place in places:
            _mend(connection, place)


@contextmanager
def commits() -> Iterator[None]:
    """Around what commits in a worker: it has its ``on_commit`` callbacks called at the end,
    for which Django would wait until the test's transaction commits, and that never does."""
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
