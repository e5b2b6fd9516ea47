"""Statements that sleep on the server: seen, interrupted and ended."""

from __future__ import annotations

import os
import signal

from django.db import connection, connections

from stress.rig.pools import wait_until

_SLEEPS = """
    FROM pg_stat_activity
    WHERE query LIKE '%pg_sleep%' AND state = 'active'
        AND pid <> pg_backend_pid() AND datname = current_database()"""


def sleepers() -> int:
    """How many statements of this database sleep."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) {_SLEEPS}")
        return int(cursor.fetchone()[0])


def end_what_sleeps() -> None:
    """End the sessions of those statements. Their locks would hold up the next test."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid, 10000) {_SLEEPS}")


def alarm_while_the_server_sleeps() -> None:
    """Send SIGALRM to this process once a statement sleeps. For a thread of its own."""
    try:
        wait_until(sleepers, what="a statement that sleeps")
        os.kill(os.getpid(), signal.SIGALRM)
    finally:
        connections.close_all()
