"""Notifications to pools, with the commit, from code that does not send tasks itself."""

from __future__ import annotations

from django.db import connections

from taskq import sql


def wake(alias: str) -> None:
    """Wake a sleeping pool, because existing tasks have become due."""
    _tell(alias, sql.enqueue_of(connections[alias].vendor).WAKE)


def tell_cancelled(alias: str) -> None:
    """Make all pools look for runs that were asked to end."""
    _tell(alias, sql.enqueue_of(connections[alias].vendor).TELL_CANCELLED)


def tell_stack(alias: str) -> None:
    """Make all pools look for requests for stacks."""
    _tell(alias, sql.enqueue_of(connections[alias].vendor).TELL_STACK)


def _tell(alias: str, statement: str | None) -> None:
    if statement:
        with connections[alias].cursor() as cursor:
            cursor.execute(statement)
