"""The partitions of the finished tasks that are kept.

A row goes to the partition of the day on which it expires (UTC), whatever its lifetime is. So a day
that is over is dropped whole. A row whose day has no partition goes to the default one.

schema: of the tables, as SQL writes its name.
"""

from __future__ import annotations

import datetime

_PARENT, _DEFAULT = "taskq_finished", "taskq_finished_default"

# The clock, whether this role may make partitions, its name, and that of the table's owner. No row
# where the table is missing or is not partitioned. Locks nothing.
LOOK = f"""
SELECT extract(epoch FROM statement_timestamp())::float8,
       pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE'),
       quote_ident(current_user), quote_ident(pg_get_userbyid(relowner))
FROM pg_class WHERE oid = to_regclass('{_PARENT}') AND relkind = 'p'
"""

# The names of the partitions, each with whether this role may drop it. By pg_inherits_parent_index.
# Locks nothing.
LIST = f"""
SELECT relname, pg_has_role(relowner, 'USAGE')
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = to_regclass('{_PARENT}')
"""

# How many rows of a day are in the default partition, up to a limit. By taskq_finished_expires.
# Locks nothing.
STRAYS = f"""
SELECT count(*) FROM (
    SELECT FROM {_DEFAULT} WHERE expires_on = %(day)s LIMIT %(limit)s
) AS strays
"""

# The first statements of a transaction that changes partitions: how long writers may wait behind
# a lock that waits itself, and behind one that is held.
LIMITS = ("SET LOCAL lock_timeout = '100ms'", "SET LOCAL statement_timeout = '1s'")


def name_of(day: datetime.date) -> str:
    """The name of the partition of a day."""
    return f"{_PARENT}_{day:%Y%m%d}"


def lock(schema: str) -> str:
    """Let no other keeper make a partition meanwhile. It stops neither readers nor writers."""
    return f"LOCK TABLE ONLY {schema}.{_PARENT} IN SHARE UPDATE EXCLUSIVE MODE"


def make(schema: str, day: datetime.date) -> list[str]:
    """Make the partition of a day, and move its rows there that are in the default one.

    All writers are stopped meanwhile, by the lock on the parent, and readers by that on the default
    partition, of which the last statement reads all. Attaching alone takes only the second. Then a
    writer that has chosen the default partition, and waits for it, would fail: the rows of this day
    are no longer allowed there.
    """
    partition, default = f"{schema}.{name_of(day)}", f"{schema}.{_DEFAULT}"
    after = day + datetime.timedelta(days=1)
    return [
        f"CREATE TABLE {partition} (LIKE {schema}.{_PARENT} INCLUDING ALL)",
        f"LOCK TABLE ONLY {schema}.{_PARENT} IN SHARE ROW EXCLUSIVE MODE",
        f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE",
        f"WITH moved AS (DELETE FROM {default} WHERE expires_on = '{day}' RETURNING *) "
        f"INSERT INTO {partition} SELECT * FROM moved",
        f"ALTER TABLE {schema}.{_PARENT} ATTACH PARTITION {partition} "
        f"FOR VALUES FROM ('{day}') TO ('{after}')",
    ]


def drop(schema: str, day: datetime.date) -> str:
    """Drop a day. It locks the parent, the partition and the default one, ACCESS EXCLUSIVE. Under
    these locks it changes only the catalog: the files are removed after them."""
    return f"DROP TABLE IF EXISTS {schema}.{name_of(day)}"
