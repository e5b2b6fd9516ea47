"""The limit: psycopg in a loop on the table of taskq, with nothing around it.

    python -m stress.bench.raw drain --rows 50

claims rows and deletes them, two statements and two commits, until nothing is left.
It runs no function, decodes no arguments, holds no lease and checks nothing.
"""

from __future__ import annotations

import argparse
import json
import os

import psycopg

from stress.bench import queue, work
from stress.bench.counter import Counter
from stress.bench.queue import WARM_UP, seconds

#: The least that a claim must do: find the next due rows, skip those of other claimers,
#: mark them, and read what to run.
CLAIM = """
UPDATE taskq_task AS task
SET state = 1, worker_id = %s, attempt = task.attempt + 1, started_at = statement_timestamp()
FROM (
    SELECT id FROM taskq_task
    WHERE state = 0 AND queue = 'default' AND priority = 0
      AND execute_at <= statement_timestamp()
    ORDER BY execute_at, id LIMIT %s FOR UPDATE SKIP LOCKED
) AS due
WHERE task.id = due.id
RETURNING task.id, task.attempt, task.name, task.payload
"""
REMOVE = "DELETE FROM taskq_task WHERE id = ANY (%s)"
#: The same for tasks whose results are kept: the rows move to the other table.
KEEP = """
WITH done AS (
    DELETE FROM taskq_task WHERE id = ANY (%s)
    RETURNING id, name, payload, queue, priority, created_at, run_after, started_at
)
INSERT INTO taskq_result (id, name, payload, queue, priority, created_at, run_after, started_at,
                          finished_at, worker, value)
SELECT done.*, statement_timestamp(), 'raw', value
FROM done JOIN unnest(%s::bigint[], %s::text[]) AS returned (id, value) USING (id)
"""
#: The same for tasks that fail and are retried at once, with what a failed run leaves.
RETRY = """
UPDATE taskq_task
SET state = 0, worker_id = NULL, started_at = NULL, retries = retries + 1,
    execute_at = clock_timestamp(), error = %s, traceback = %s
WHERE id = ANY (%s)
"""
ERROR, TRACEBACK = (
    "ValueError: as always",
    "a line of a traceback, which has some five of these\n" * 5,
)
REMOVE_ONE = "DELETE FROM taskq_task WHERE id = %s AND worker_id = %s AND attempt = %s"
INSERT = "INSERT INTO taskq_task (name, payload) VALUES (%s, %s)"
INSERT_AND_WAKE = (
    f"WITH task AS ({INSERT} RETURNING id) SELECT id, pg_notify('bench', '') FROM task"
)
COPY = "COPY taskq_task (name, payload, queue, priority, max_losses) FROM STDIN"
EFFECT = "INSERT INTO shop_order (number, placed_at) VALUES (%s, %s)"
NAME, PAYLOAD = "stress.bench.work.noop", "[[],{}]"


def drain(connection: psycopg.Connection, rows: int) -> None:
    """Claim and delete until nothing is due."""
    counter, cursor, worker = _counter(), connection.cursor(), os.getpid()
    while claimed := cursor.execute(CLAIM, (worker, rows)).fetchall():
        cursor.execute(REMOVE, ([row[0] for row in claimed],))
        counter.add(len(claimed))


def drain_results(connection: psycopg.Connection, rows: int) -> None:
    """The same with a result of each task, as long as its arguments."""
    counter, cursor, worker = _counter(), connection.cursor(), os.getpid()
    while claimed := cursor.execute(CLAIM, (worker, rows)).fetchall():
        ids = [row[0] for row in claimed]
        cursor.execute(KEEP, (ids, ids, [row[3] for row in claimed]))
        counter.add(len(claimed))


def retry(connection: psycopg.Connection, rows: int) -> None:
    """Claim and make due again, for ever."""
    counter, cursor, worker = _counter(), connection.cursor(), os.getpid()
    while claimed := cursor.execute(CLAIM, (worker, rows)).fetchall():
        cursor.execute(RETRY, (ERROR, TRACEBACK, [row[0] for row in claimed]))
        counter.add(len(claimed))


def drain_atomic(connection: psycopg.Connection, rows: int) -> None:
    """Claim; then for each row its effect and its removal in one transaction."""
    counter, cursor, worker = _counter(), connection.cursor(), os.getpid()
    while claimed := cursor.execute(CLAIM, (worker, rows)).fetchall():
        for id, attempt, _, payload in claimed:
            with connection.transaction():
                cursor.execute(EFFECT, (json.loads(payload)[0][0], "now"))
                cursor.execute(REMOVE_ONE, (id, worker, attempt))
            counter.add()


def send(connection: psycopg.Connection, rows: int, count: int) -> float:
    """Insert ``rows`` rows in each transaction. Returns the seconds that it took."""
    cursor = connection.cursor()

    def together() -> None:
        if rows == 1:
            cursor.execute(INSERT, (NAME, PAYLOAD))
            return
        with connection.transaction():
            for _ in range(rows):
                cursor.execute(INSERT, (NAME, PAYLOAD))

    for _ in range(WARM_UP):
        together()
    return seconds(together, count // rows)


def copy(connection: psycopg.Connection, count: int) -> float:
    """COPY rows in one transaction with encoded arguments. Returns the seconds."""

    def write() -> None:
        with connection.cursor().copy(COPY) as lines:
            for _ in range(count):
                payload = json.dumps([[], {}], separators=(",", ":"))
                lines.write_row((NAME, payload, "default", 0, 3))

    return seconds(write, 1)


def ping(connection: psycopg.Connection, gap: float, count: int) -> list[tuple[int, int]]:
    """Insert numbered rows, each with a wake-up in its commit. Returns when each was sent."""
    cursor = connection.cursor()
    name = "stress.bench.work.mark"
    return queue.ping(
        lambda number: cursor.execute(INSERT_AND_WAKE, (name, f"[[{number}],{{}}]")), gap, count
    )


def listen(connection: psycopg.Connection) -> None:
    """The least that starts a task on a wake-up: hear it, claim a row, record the time."""
    cursor = connection.cursor()
    cursor.execute("LISTEN bench")
    while True:
        while claimed := cursor.execute(CLAIM, (os.getpid(), 1)).fetchall():
            ((id, _, _, payload),) = claimed
            work.mark(json.loads(payload)[0][0])
            cursor.execute(REMOVE, ([id],))
        # With a timeout, so that a missed wake-up costs one second, not the measurement.
        for _ in connection.notifies(timeout=1, stop_after=1):
            break


def _counter() -> Counter:
    return Counter(os.environ["BENCH_COUNTER"])


def main() -> None:
    parser = argparse.ArgumentParser()
    drains = ["drain", "drain-results", "retry", "drain-atomic"]
    commands = [*drains, "send", "copy", "ping", "listen"]
    parser.add_argument("command", choices=commands)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--gap", type=float, default=0.0)
    options = parser.parse_args()
    result: object = None
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        match options.command:
            case "drain":
                drain(connection, options.rows)
            case "drain-results":
                drain_results(connection, options.rows)
            case "retry":
                retry(connection, options.rows)
            case "drain-atomic":
                drain_atomic(connection, options.rows)
            case "send":
                result = send(connection, options.rows, options.count)
            case "copy":
                result = copy(connection, options.count)
            case "ping":
                result = ping(connection, options.gap, options.count)
            case "listen":
                listen(connection)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
