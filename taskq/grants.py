"""What a role may have to do with the tables, and whether the pool's own may."""

from __future__ import annotations

from django.db import connections

from taskq import events, sql
from taskq.link import Link

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


def missing(connection: sql.Connection) -> list[str]:
    """What to say to PostgreSQL so that this role may do what a pool does; empty if it may.
    Tables that are not there count as not granted."""
    wanted = [(name, privilege) for name, all in POOL.items() for privilege in all]
    values = {
        "names": [name for name, _ in wanted],
        "privileges": [privilege for _, privilege in wanted],
    }
    lacking: dict[str, list[str]] = {}
    role = ""
    for role, name, privilege in connection.rows(_MISSING, values):  # noqa: B007
        lacking.setdefault(name, []).append(privilege)
    return [
        f"GRANT {', '.join(lacking[name])} ON {name} TO {role}" for name in POOL if name in lacking
    ]


class GrantCheck:
    """Looks once, when a pool has started, and says all that is missing in one message. The pool
    goes on: it may be that nobody needs what is missing."""

    def __init__(self, link: Link, alias: str) -> None:
        self._link = link
        self._done = connections[alias].vendor != "postgresql"

    def look(self) -> None:
        """Look, if that is not done."""
        if self._done:
            return
        if found := missing(self._link.leases().connection):
            events.grants_missing(self._link.owner, found)
        self._done = True
