"""The database comes back and knows less than before: a standby that lagged was promoted, or a
backup restored, under running pools."""

import os
import subprocess
import sys

import psutil
import pytest

from pool import State as Doing
from stress.rig.pools import wait_until
from stress.rig.postgres import EmbeddedPostgres
from stress.rig.snapshot import Snapshot
from taskq.conf import Settings
from taskq.keeper.leases import Leases
from taskq.models import State, Task, Worker
from tests.project.lab import tasks
from tests.taskq.conftest import keeper_of_no_pool
from tests.taskq.leasing import send
from tests.taskq.outages import send as send_to

#: A heartbeat so long that nothing is noticed by it.
LONG = ("--lease", "200", "--heartbeat", "65", "--poll", "0.5")


@pytest.fixture
def url():
    """An empty database on a server of our own."""
    with EmbeddedPostgres() as server:
        url = server.create_database("past")
        environment = {**os.environ, "DATABASE_URL": url}
        command = [sys.executable, "-m", "tests.project.manage", "migrate", "-v0"]
        subprocess.run(command, env=environment, check=True)
        yield url


@pytest.mark.postgresql
def test_runs_that_the_database_knows_nothing_of_end_with_the_reconnect(url, pool_on, runs):
    """Before the first pool was there: none of their leases, and no claim of theirs."""
    for key in "ab":
        send_to(url, tasks.nap, key, 60)
    before = Snapshot(url)
    for _ in range(2):
        pool_on("-c", "1", *LONG)
    firsts = [wait_until(lambda key=key: runs("start", key))[0] for key in "ab"]
    before.restore()
    wait_until(
        lambda: not any(psutil.pid_exists(first["pid"]) for first in firsts),
        what="both runs are stopped",  # sooner than by a heartbeat
    )
    for key in "ab":
        wait_until(lambda key=key: len(runs("start", key)) == 2)


# The keeper's part, step by step


@pytest.fixture
def keeper(transactional_db):
    """Of a pool with one worker, which has its lease and has been idle so far."""
    keeper = keeper_of_no_pool(Settings())
    keeper.leases.renew()
    keeper.leases.give()
    yield keeper
    keeper.session.close()


@pytest.fixture
def slot(keeper):
    (_, slot) = keeper.scoreboard.slots
    return slot


@pytest.fixture
def running(slot, db_store):
    """A task that the worker runs."""
    pk = send()
    Task.objects.update(state=State.RUNNING, attempt=1, worker=slot.held_lease())
    slot.state = Doing.BUSY
    slot.begin(pk, 1, "a task", 0, 0, 0)
    return pk


def back(keeper):
    """The database was away, and is there again."""
    keeper.leases.lost()
    keeper.leases.renew()
    keeper.leases.give()


def test_leases_are_renewed_at_once_after_an_outage(keeper, slot):
    Worker.objects.update(lease_expires_at="2100-01-01T00:00Z")
    keeper.leases.renew()  # is not due
    assert Worker.objects.filter(lease_expires_at__year=2100).exists()
    back(keeper)
    assert not Worker.objects.filter(lease_expires_at__year=2100).exists()


@pytest.mark.parametrize(
    "known", [{"state": State.READY}, {"attempt": 2}, {"worker": 7}, None], ids=str
)
def test_a_run_that_is_no_longer_its_workers_is_ended(keeper, slot, running, known):
    Task.objects.update(**known) if known else Task.objects.all().delete()
    back(keeper)
    assert slot.ending
    assert slot.ending_hard <= slot.ending_soft


def test_a_run_that_still_is_goes_on_under_its_lease(keeper, slot, running):
    lease = slot.held_lease()
    back(keeper)
    assert not slot.ending
    assert slot.held_lease() == lease
    assert slot.lease_is_good(1)
    assert not slot.may_start(1)
    back(keeper)
    assert Task.objects.get().state == State.RUNNING


def test_what_a_worker_has_done_and_the_database_says_it_runs_is_taken_back(keeper, slot, running):
    """It was finished after the moment to which the history goes back."""
    lease = slot.held_lease()
    slot.state, slot.task_id = Doing.IDLE, 0
    back(keeper)
    row = Task.objects.get()
    assert (row.state, row.losses, row.isolated) == (State.READY, 0, False)
    assert slot.held_lease() not in (0, lease)
    assert slot.may_start(1)


@pytest.mark.postgresql
def test_a_server_that_a_pooler_has_put_in_the_place_of_another_is_noticed(keeper, slot, running):
    """None of the pool's connections broke."""
    Task.objects.update(state=State.READY, worker=None)
    for _ in range(2):
        keeper.leases._due = 0
        keeper.leases.renew()
        assert keeper.leases.due > 0
    keeper.leases._server, keeper.leases._due = "another", 0
    keeper.leases.renew()
    assert not slot.ending
    assert keeper.leases.due == 0
    keeper.leases.renew()
    assert slot.ending


def test_a_keeper_that_takes_over_asks_as_after_an_outage(keeper, slot, running):
    Task.objects.update(state=State.READY, worker=None)
    another = Leases(keeper.child, keeper.context, keeper.session, keeper.reclaimer, None)
    another.renew()
    assert slot.ending
