"""A table that another session has locked, as a migration does: the rest of the pool goes on."""

from __future__ import annotations

import pytest

from stress.rig.pools import wait_until
from tests.project.lab import tasks
from tests.taskq.own_sessions import open_session

pytestmark = pytest.mark.postgresql


def test_a_locked_table_of_one_duty_holds_up_neither_leases_nor_tasks(start_pool, runs):
    pool = start_pool("-c", 2, "--lease", 6, "--heartbeat", 1)
    keeper = pool.children("keeper")
    with open_session() as migration:
        migration.execute("LOCK TABLE taskq_schedule IN ACCESS EXCLUSIVE MODE")
        pool.wait_for_log("keeper: cannot send periodic tasks: canceling statement due to lock")
        tasks.nap.delay("long", 8)  # longer than a lease
        for key in "abc":
            tasks.quick.delay(key)
            wait_until(lambda key=key: runs("end", key))
        wait_until(lambda: runs("end", "long"))
    pool.wait_for_log("keeper: can send periodic tasks again")
    assert len(runs("start")) == 4
    assert pool.children("keeper") == keeper, "nobody had to replace it"
    assert pool.log().count("cannot send periodic tasks") == 1
    assert pool.stop() == 0


def test_tasks_start_as_soon_as_their_table_is_unlocked(start_pool, runs):
    pool = start_pool("-c", 1, "--lease", 6, "--heartbeat", 1)
    tasks.nap.delay("running", 12)
    wait_until(lambda: runs("start", "running"))
    keeper = pool.children("keeper")
    with open_session() as migration:
        migration.execute("LOCK TABLE taskq_task IN ACCESS EXCLUSIVE MODE")
        pool.wait_for_log("canceling statement due to lock timeout")
        wait_until(lambda: runs("end", "running"))
        assert pool.children("keeper") == keeper, "nobody had to replace it"
    tasks.quick.delay("after")
    wait_until(lambda: runs("end", "after"))
    assert len(runs("start")) == 2
    assert pool.stop() == 0
