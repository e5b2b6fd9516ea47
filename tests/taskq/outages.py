"""A server that a test may crash, with a database of its own."""

import json
import os
import subprocess
import sys

import psycopg
import pytest

from stress.rig.postgres import EmbeddedPostgres
from taskq.outbox.terms import columns
from taskq.sql.postgresql import enqueue
from taskq.task.options import TaskOptions


@pytest.fixture(scope="module")
def server():
    with EmbeddedPostgres() as ours:
        yield ours


@pytest.fixture
def url(server):
    """An empty database on a server that the test may crash."""
    url = server.create_database("outage")
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, "-m", "tests.project.manage", "migrate", "-v0"]
    subprocess.run(command, env=environment, check=True)
    return url


def send(url, task, *args):
    values = {
        "name": task.name,
        "payload": json.dumps([args, {}]),
        **columns(TaskOptions()),
    }
    with psycopg.connect(url, autocommit=True) as session:
        psycopg.Cursor(session).execute(enqueue.ENQUEUE, values)


def rows(url, statement):
    with psycopg.connect(url, autocommit=True) as session:
        return session.execute(statement).fetchall()


def all_done(url):
    return rows(url, "SELECT count(*) FROM taskq_task WHERE state <> 2") == [(0,)]
