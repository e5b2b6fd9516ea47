"""The pool of a dead worker reclaims its tasks: only this pool knows what the worker ran."""

from datetime import timedelta

import pytest
from django.utils import timezone

from pool import Death, clock
from pool.death import Cause
from taskq.conf import Settings
from taskq.keeper.reclaimer import Reclaimer
from taskq.models import State, Task, Worker
from taskq.pool_context import PoolContext
from taskq.store.leases import LeaseStore
from taskq.store.session import StoreSession
from taskq.task.queues import Queues
from tests.project.lab import tasks
from tests.taskq.conftest import child_of_no_pool, keeper_of_no_pool


@pytest.fixture
def reclaimer(transactional_db):
    child = child_of_no_pool("keeper")
    session = StoreSession("keeper", "default", 30, direct=False)
    context = PoolContext(settings=Settings(), queues=Queues(), alias="default")
    reclaimer = Reclaimer(child, context, session, between=lambda: None)
    session.since = 1  # it has had the database for long
    yield reclaimer
    session.close()


@pytest.fixture
def poison(worker):
    """A task that a worker runs whose lease has run out."""
    tasks.nap.delay("a", 5)
    task = worker.claim_one()
    past = timezone.now() - timedelta(seconds=1)
    Worker.objects.filter(pk=worker.id).update(lease_expires_at=past)
    return task


def test_a_lease_that_ran_out_is_taken_back(reclaimer, poison):
    reclaimer.reclaim_expired()
    row = Task.objects.get()
    assert (row.state, row.losses, row.error) == (State.READY, 1, "lease ran out unrenewed")


def test_a_death_that_is_still_to_be_read_keeps_its_cause(reclaimer, poison, worker):
    """The keeper may be slower than the lease, with many dead over a slow network."""
    death = Death(1, 99, worker.id, poison.id, poison.attempt, Cause.EXIT, 7)
    reclaimer.scoreboard.record(death)
    reclaimer.reclaim_expired()
    assert Task.objects.get().state == State.RUNNING
    reclaimer.reclaim_dead()
    row = Task.objects.get()
    assert (row.state, row.losses, row.error) == (State.READY, 1, "exit code 7")


def test_a_keeper_looks_for_leases_that_ran_out_only_where_there_are_any(
    transactional_db, new_worker, monkeypatch
):
    """The renewal says so, which it asks for anyway."""
    looks = []
    expired = LeaseStore.expired
    monkeypatch.setattr(LeaseStore, "expired", lambda store: looks.append(1) or expired(store))
    at = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: at[0])
    keeper = keeper_of_no_pool(Settings(lease=3600.0, heartbeat=60.0))
    keeper.leases.give()
    keeper.session.since = 1  # it has had the database for long

    def beat():
        at[0] += clock.nanoseconds(60)
        before = keeper.leases.due
        keeper.leases.renew()
        assert keeper.leases.due > before
        keeper.reclaimer.reclaim_expired()

    for _ in range(3):
        beat()
    assert not looks
    other = new_worker(3, 0.0)
    beat()
    assert not Worker.objects.filter(pk=other.id).exists()
    beat()
    assert len(looks) == 1
    keeper.session.close()
