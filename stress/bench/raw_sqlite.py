"""The limit on SQLite: sqlite3 in a loop on the table of taskq.

It is one process, because SQLite has one writer at a time and others only wait for it.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3

from stress.bench.counter import Counter

CLAIM = """
UPDATE taskq_task
SET state = 1, worker_id = 1, attempt = attempt + 1,
    started_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
WHERE id IN (
    SELECT id FROM taskq_task
    WHERE state = 0 AND queue = 'default' AND priority = 0
      AND execute_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')
    ORDER BY execute_at, id LIMIT ?
)
RETURNING id, attempt, name, payload
"""
REMOVE = "DELETE FROM taskq_task WHERE id IN (SELECT value FROM json_each(?))"
FILL = """
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
INSERT INTO taskq_task (name) SELECT 'stress.bench.work.noop' FROM number
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["fill", "drain"])
    parser.add_argument("count", type=int, help="rows to insert, or to claim at a time")
    options = parser.parse_args()
    path = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
    connection = sqlite3.connect(path, isolation_level=None, timeout=20)
    connection.execute("PRAGMA journal_mode = WAL")
    if options.command == "fill":
        connection.execute(FILL, (options.count,))
    else:
        counter = Counter(os.environ["BENCH_COUNTER"])
        while claimed := connection.execute(CLAIM, (options.count,)).fetchall():
            connection.execute(REMOVE, (json.dumps([row[0] for row in claimed]),))
            counter.add(len(claimed))
    print(json.dumps(None))


if __name__ == "__main__":
    main()
