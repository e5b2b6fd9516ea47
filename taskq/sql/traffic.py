"""How many tasks came and went so far. The difference of two such numbers is the flow.

A finished task leaves no row, and nothing counts it: the hot path writes only what it must.
"""

from __future__ import annotations

#: The rows that came, and those that went. One statement for each vendor. Neither locks anything.
FLOWS = {
    # From the server's own counters in shared memory, which are up to a second late.
    "postgresql": """
SELECT n_tup_ins, n_tup_del FROM pg_stat_user_tables WHERE relid = 'taskq_task'::regclass
""",
    # From the last id that was given, minus the rows that are left, which it counts.
    "sqlite": """
SELECT given, given - (SELECT count(*) FROM taskq_task)
FROM (SELECT coalesce(max(seq), 0) AS given FROM sqlite_sequence WHERE name = 'taskq_task')
""",
}
