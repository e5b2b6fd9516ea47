"""Which privileges a role needs on the tables, and which ones the pool's role lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connections

from taskq import events
from taskq.store.session import StoreSession

Rows = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]

#: What the role of a pool needs.
POOL = {
    "taskq_task": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_worker": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_result": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_finished": ("SELECT", "INSERT"),
    "taskq_finished_default": ("SELECT", "UPDATE", "DELETE"),
    "taskq_schedule": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_idempotencykey": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_pausedqueue": ("SELECT",),
    "taskq_rollup": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_recentrun": ("SELECT", "INSERT", "DELETE"),
    "taskq_stackrequest": ("SELECT", "UPDATE", "DELETE"),
    "taskq_loss": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_workflow": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_edge": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}
#: What a role needs that only sends tasks and reads their results.
SENDER = {
    "taskq_task": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "taskq_worker": ("SELECT",),
    "taskq_result": ("SELECT",),
    "taskq_finished": ("SELECT",),
    "taskq_idempotencykey": ("SELECT", "INSERT", "UPDATE"),
    "taskq_workflow": ("SELECT", "INSERT", "UPDATE"),
    "taskq_edge": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}

#: The missing privileges. It locks nothing.
_MISSING = """
SELECT quote_ident(current_user), wanted.name, wanted.privilege
FROM unnest(%(names)s::text[], %(privileges)s::text[]) AS wanted (name, privilege)
WHERE to_regclass(wanted.name) IS NULL
   OR NOT has_table_privilege(to_regclass(wanted.name), wanted.privilege)
"""


#: Whether a pool has a session of this role. Pools name their sessions so.
_RUNS_A_POOL = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE datname = current_database() AND usename = session_user AND application_name LIKE 'taskq %%'
"""


def missing(rows: Rows) -> list[str]:
    """The GRANT statements that this role lacks to serve as a pool's. Empty if it lacks nothing.
    A table that does not exist counts as not granted.

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
    """The same for the role of Django's connection, if a pool runs with that role.

    Otherwise, and on SQLite, empty: a role that only reads needs less.
    """
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
    """Looks once, when a pool has started, and logs all that is missing in one message. The pool
    goes on, because what is missing may never be needed."""

    def __init__(self, session: StoreSession, alias: str) -> None:
        self._session = session
        self._done = connections[alias].vendor != "postgresql"

    def look(self) -> None:
        """Look, unless that is done."""
        if self._done:
            return
        if found := missing(self._session.store().connection.rows):
            events.grants_missing(self._session.owner, found)
        self._done = True
