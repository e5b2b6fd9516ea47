"""The statements of an end and of a release, in transactions that a test holds open."""

from __future__ import annotations

import psycopg

from taskq.sql.postgresql import tasks, workflows


def run(session, statement, **values):
    return psycopg.ClientCursor(session).execute(statement, values)


def end_in(session, worker, id):
    """The end of a part, in the transaction that is open."""
    (statement,) = tasks.PASS
    more = {"value": [None], "lifetime": [None], "passed": ["x"]}
    run(session, statement, worker=worker.id, attempt=1, ids=[id], **more)


def release_in(session, id):
    """A release for the end of this part. The steps that it has released."""
    (statement,) = workflows.RELEASE
    return run(session, statement, parts=[id], served=None).fetchall()
