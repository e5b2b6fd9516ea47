"""Holding up the statements of a pool, as on a slow disk, and seeing that they wait.

A trigger waits for a lock that this process holds meanwhile.

url: of the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_CLAIMS = """
CREATE OR REPLACE FUNCTION slow_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(42);
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER slow_claim BEFORE UPDATE ON taskq_task FOR EACH ROW
WHEN (OLD.state = 0 AND NEW.state = 1) EXECUTE FUNCTION slow_claim()
"""
_ENDS = """
CREATE OR REPLACE FUNCTION slow_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(42);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow_end AFTER UPDATE ON taskq_edge DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION slow_end()
"""


@contextmanager
def claims_held_up(url: str) -> Iterator[None]:
    """Let no claim end during the block, once it has chosen its tasks."""
    with _held_up(url, _CLAIMS):
        yield


@contextmanager
def ends_held_up(url: str) -> Iterator[None]:
    """Let no end of a part commit during the block."""
    with _held_up(url, _ENDS):
        yield


def held_up(url: str) -> int:
    """How many claims or ends wait for that lock."""
    return _waiting(url, "advisory")


def someone_waits_for_a_row(url: str) -> bool:
    """Whether a transaction waits for one that has locked a row."""
    return _waiting(url, "transactionid", "tuple") > 0


@contextmanager
def _held_up(url: str, trigger: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(trigger.encode())
        session.execute("SELECT pg_advisory_lock(42)")
        yield
        session.execute("SELECT pg_advisory_unlock(42)")


def _waiting(url: str, *kinds: str) -> int:
    look = "SELECT FROM pg_locks WHERE NOT granted AND locktype = ANY (%s)"
    with psycopg.connect(url) as session:
        return session.execute(look, [list(kinds)]).rowcount
