"""How many tasks came and went since some moment, to be compared with the same a while later.

A finished task leaves no row, and nothing counts what went: the hot path writes what it must.
"""

from __future__ import annotations

#: The rows that came, and those that went. A statement a vendor; neither locks anything.
FLOWS = {
    # By the server's own counters, in shared memory, which are a second late.
    "postgresql": """
SELECT n_tup_ins, n_tup_del FROM pg_stat_user_tables WHERE relid = 'taskq_task'::regclass
""",
    # By the last id that was given, and the rows that are left: this counts them.
    "sqlite": """
SELECT given, given - (SELECT count(*) FROM taskq_task)
FROM (SELECT coalesce(max(seq), 0) AS given FROM sqlite_sequence WHERE name = 'taskq_task')
""",
}
