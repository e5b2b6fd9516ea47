"""Wake-ups from code that made tasks due by other ways than sending them."""

from __future__ import annotations

from django.db import connections

from taskq import sql


def wake(alias: str) -> None:
    """Wake a pool that sleeps, once what is open on the database has committed."""
    statement = sql.enqueue_of(connections[alias].vendor).WAKE
    if statement:
        with connections[alias].cursor() as cursor:
            cursor.execute(statement)
