"""What a role may have to do with the tables, and whether the pool's own may."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connections

from taskq import events
from taskq.store.session import StoreSession

Rows = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]

#: What a role needs that a pool connects as.
POOL = {
    "taskq_task": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_worker": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_result": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_schedule": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_idempotencykey": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_pausedqueue": ("SELECT",),
}
#: What a role needs that only sends tasks, and looks at what came of them.
SENDER = {
    "taskq_task": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_worker": ("SELECT",),
    "taskq_result": ("SELECT",),
    "taskq_idempotencykey": ("SELECT", "INSERT", "UPDATE"),
}

#: Of the tables, in no other order than that of their names. Locks nothing.
_MISSING = """
SELECT quote_ident(current_user), wanted.name, wanted.privilege
FROM unnest(%(names)s::text[], %(privileges)s::text[]) AS wanted (name, privilege)
WHERE to_regclass(wanted.name) IS NULL
   OR NOT has_table_privilege(to_regclass(wanted.name), wanted.privilege)
"""


#: Whether a pool has a session of this role, by the name that it gives its sessions.
_RUNS_A_POOL = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE datname = current_database() AND usename = session_user AND application_name LIKE 'taskq %%'
"""


def missing(rows: Rows) -> list[str]:
    """What to say to PostgreSQL so that this role may do what a pool does; empty if it may.
    Tables that are not there count as not granted.

    rows: runs a statement with parameters, and returns its rows.
    """
    wanted = [(name, privilege) for name, all in POOL.items() for privilege in all]
    values = {
        "names": [name for name, _ in wanted],
        "privileges": [privilege for _, privilege in wanted],
    }
    lacking: dict[str, list[str]] = {}
    role = ""
    for role, name, privilege in rows(_MISSING, values):  # noqa: B007
        lacking.setdefault(name, []).append(privilege)
    return [
        f"GRANT {', '.join(lacking[name])} ON {name} TO {role}" for name in POOL if name in lacking
    ]


def missing_from_the_pools(alias: str) -> list[str]:
    """The same of Django's connection, where a pool runs with its role; else, and on SQLite, empty.
    A role that only looks needs less."""
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return []

    def rows(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    ((runs_a_pool,),) = rows(_RUNS_A_POOL, {})
    return missing(rows) if runs_a_pool else []


class GrantCheck:
    """Looks once, when a pool has started, and says all that is missing in one message. The pool
    goes on: it may be that nobody needs what is missing."""

    def __init__(self, session: StoreSession, alias: str) -> None:
        self._session = session
        self._done = connections[alias].vendor != "postgresql"

    def look(self) -> None:
        """Look, if that is not done."""
        if self._done:
            return
        if found := missing(self._session.store().connection.rows):
            events.grants_missing(self._session.owner, found)
        self._done = True
