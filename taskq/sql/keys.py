"""The SQL of unique and idempotency keys: a module for each vendor, and what both share."""

from __future__ import annotations

import functools
import importlib
from typing import Protocol, cast

#: The task of an idempotency key. Uses taskq_idempotency_key. Locks nothing.
KNOWN = "SELECT task_id FROM taskq_idempotencykey WHERE name = %(name)s AND key = %(key)s"

#: Uses the primary key.
SET_TASK = "UPDATE taskq_idempotencykey SET task_id = %(task)s WHERE id = %(id)s"


class Statements(Protocol):
    """A vendor's module for keys; postgresql/unique.py explains each statement."""

    INSERT: str
    JOIN: str
    LOOK: str
    DROP_EXPIRED: str
    WAIT_AND_DROP_EXPIRED: str
    REMEMBER: str
    GIVE_ID: str


@functools.cache
def of(vendor: str) -> Statements:
    """The statements for a Django connection's vendor, one of ``taskq.sql.VENDORS``."""
    return cast(Statements, importlib.import_module(f"taskq.sql.{vendor}.unique"))
