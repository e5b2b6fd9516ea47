"""The SQL of unique and idempotency keys, in one module a database vendor, and what both share."""

from __future__ import annotations

import functools
import importlib
from typing import Protocol, cast

#: The task of an idempotency key. By taskq_idempotency_key; locks nothing.
KNOWN = "SELECT task_id FROM taskq_idempotencykey WHERE name = %(name)s AND key = %(key)s"

#: By primary key.
SET_TASK = "UPDATE taskq_idempotencykey SET task_id = %(task)s WHERE id = %(id)s"


class Statements(Protocol):
    """What a vendor's module holds; postgresql_keys.py explains each."""

    INSERT: str
    JOIN: str
    LOOK: str
    DROP_EXPIRED: str
    WAIT_AND_DROP_EXPIRED: str
    REMEMBER: str


@functools.cache
def of(vendor: str) -> Statements:
    """The statements for a Django connection's vendor, one of ``taskq.sql.VENDORS``."""
    return cast(Statements, importlib.import_module(f"taskq.sql.{vendor}.unique"))
