"""An atomic task that waits too long for a lock at one of its ends, by limits that the site has
set, has not failed."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from django.db import connection

from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.models import Task
from taskq.task import registry
from taskq.task.outcomes import Interrupted
from taskq.worker.executor import request_of
from tests.project.lab import sessions
from tests.taskq.conftest import worker_of_no_pool
from tests.taskq.own_sessions import open_session


@pytest.mark.postgresql
@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
def test_the_end_waits_for_a_table_that_is_locked(start_pool, drained, limit):
    pool = start_pool("-c", 1)
    database = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {database} SET {limit} = '3s'")
    try:
        sessions.order_and_execute.delay(1, "SELECT pg_sleep(2)")
        wait_until(lambda: active("state = 'active' AND query LIKE '%pg_sleep(2)%'"))
        with open_session() as migration:
            migration.execute("LOCK TABLE taskq_task IN ACCESS EXCLUSIVE MODE")
            # Until it writes what came of the run.
            waits = "application_name = 'taskq worker 1' AND wait_event_type = 'Lock'"
            wait_until(lambda: active(f"{waits} AND query LIKE '%losses%'"))
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {database} RESET ALL")
    drained()
    assert not Task.objects.failed().exists()
    assert Order.objects.count() == 1
    assert pool.log().count("was interrupted, as it waited too long for a lock") == 1
    assert pool.stop() == 0


def active(where):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {where}"
        )
        return cursor.fetchall()


@pytest.mark.sqlite
def test_the_beginning_waits_for_the_write_lock(worker):
    sessions.order_and_execute.delay(1, "SELECT 1")
    task = worker.claim_one()
    executor = worker_of_no_pool(worker.id).executor
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcome = executor.run(registry.find(task.name), task, request_of(task))
    assert isinstance(outcome, Interrupted)
    assert "waited too long for a lock" in outcome.error
    connection.close()
