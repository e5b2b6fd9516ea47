"""The database takes no writes for a while: its disk is full, or it is a standby by now."""

from __future__ import annotations

import contextlib
import json

import pytest
from django.db import connection

from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.connections import liveness
from taskq.models import Task
from taskq.worker.cleanup import Cleanup
from tests.project.lab import sessions
from tests.taskq.own_sessions import open_session

pytestmark = pytest.mark.postgresql


@contextlib.contextmanager
def read_only():
    """New sessions can only read meanwhile. Those that are there go on writing."""
    with open_session() as session:
        session.autocommit = True
        database = connection.ops.quote_name(connection.settings_dict["NAME"])
        session.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        try:
            yield
        finally:
            session.execute("SET default_transaction_read_only = off")
            session.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")


@pytest.mark.parametrize("pooled", [0, 2])
def test_no_task_fails_and_one_run_is_lost(start_pool, drained, pooled):
    """With the driver's pool, one for each session there: it opens another for one that is closed,
    and that may be at once."""
    more = {"TASKQ_TEST_POOLED": json.dumps({"min_size": 0, "max_size": pooled})} if pooled else {}
    pool = start_pool("-c", 1, **more)  # its own sessions write
    with read_only():
        for number in range(3):
            sessions.order_and_execute.delay(number, "SELECT 1")
        pool.wait_for_log("worker 1: the database does not answer: cannot execute")
        assert Task.objects.count() == 3
    drained()
    assert Order.objects.count() == 3
    assert not Task.objects.failed().exists()
    log = pool.log()
    lost = log.count("was interrupted, as the database took no writes")
    assert 1 <= lost <= max(1, pooled)
    assert log.count("lost its worker") == 0
    assert pool.stop() == 0


def test_a_transaction_of_the_tasks_own_that_only_reads_is_its_own_failure(start_pool):
    pool = start_pool("-c", 1)
    sessions.execute.delay("BEGIN READ ONLY", "DELETE FROM shop_order")
    row = wait_until(lambda: Task.objects.failed().first())
    assert row.losses == 0
    assert "cannot execute DELETE in a read-only transaction" in row.error
    assert pool.stop() == 0


def backend():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_a_session_that_only_reads_is_replaced_once_in_a_while(monkeypatch):
    ours = Cleanup()
    with read_only():
        connection.close()
        first = backend()
        ours.restore("a")
        assert ours.before(quick=False)
        second = backend()
        assert second != first
        ours.restore("a")
        assert ours.before(quick=False)
        assert backend() == second, "a site may read from a standby all the time"
        monkeypatch.setattr(liveness, "READ_ONLY_AGAIN", 0.0)
    ours.restore("a")
    assert ours.before(quick=False)
    Order.objects.create(number=1)
    third = backend()
    assert third != second
    ours.restore("a")
    assert ours.before(quick=False)
    assert backend() == third
