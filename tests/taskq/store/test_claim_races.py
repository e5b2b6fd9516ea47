"""Claims and reclaims interleaved by hand, in transactions that a test holds open."""

import threading

import psycopg
import pytest
from django.db import connection

from stress.rig.pools import wait_until
from taskq.models import State, Task, Worker
from taskq.sql.postgresql import claims, leases
from taskq.sql.postgresql import tasks as postgresql_tasks
from taskq.store import endings
from taskq.store.claims import ClaimRequest
from taskq.task.queues import Queues
from tests.project.lab import tasks
from tests.taskq.own_sessions import open_session

pytestmark = pytest.mark.postgresql


@pytest.fixture
def session(transactional_db):
    """A session whose transaction ends when the test says so."""
    with open_session() as open_one:
        yield open_one


def claim_in(session, worker, statement):
    values = {
        "worker": worker.id,
        "queues": None,
        "queue": "default",
        "priority": 0,
        "from_due": "-infinity",
        "from_id": 0,
        "limit": 10,
        "quick": [tasks.quick.name],
        "described": [],
    }
    return psycopg.Cursor(session).execute(statement, values).fetchall()


def in_background(function):
    """Start it; returns how to wait for its result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function()), daemon=True)
    thread.start()

    def outcome():
        thread.join(60)
        assert result, "it never came back"
        return result[0]

    return thread, outcome


def waits_for_a_lock():
    return Worker.objects.raw(
        "SELECT 1 AS id FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database() LIMIT 1"
    )


@pytest.mark.parametrize("statement", ["CLAIM", "CLAIM_FIRST"])
def test_a_claim_in_flight_holds_off_the_reclaim_which_then_sees_it(worker, session, statement):
    """Claim first: the reclaim must wait for it, and reclaim what it claimed."""
    tasks.quick.delay("a")
    assert len(claim_in(session, worker, getattr(claims, statement))) == 1
    thread, outcome = in_background(
        lambda: worker.db.leases.retire(worker.id, ran=0, charge=False, cause="dead")
    )
    wait_until(lambda: list(waits_for_a_lock()), what="the reclaim waits for the claim")
    assert thread.is_alive()
    session.commit()
    assert len(outcome().tasks) == 1
    assert Task.objects.get().state == State.READY
    assert not Worker.objects.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"isolation_level": psycopg.IsolationLevel.SERIALIZABLE},
        {"options": "-c default_transaction_isolation=serializable"},
    ],
    ids=["Django's", "the server's"],
)
def test_also_where_the_site_has_a_stricter_isolation(
    worker, session, connect, monkeypatch, options
):
    tasks.quick.delay("a")
    assert len(claim_in(session, worker, claims.CLAIM)) == 1
    every = {**connection.settings_dict["OPTIONS"], **options}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", every)
    db = connect()
    _, outcome = in_background(
        lambda: db.leases.retire(worker.id, ran=0, charge=False, cause="dead")
    )
    wait_until(lambda: list(waits_for_a_lock()), what="the reclaim waits for the claim")
    session.commit()
    assert len(outcome().tasks) == 1
    assert Task.objects.get().state == State.READY, "no task left running under no worker"
    assert db.connection.rows("SHOW transaction_isolation", {}) == [("read committed",)]


@pytest.mark.parametrize("slept", [False, True])
def test_a_reclaim_in_flight_holds_off_the_claim_which_then_gets_nothing(
    worker, session, connect, slept
):
    """Reclaim first: the claim must wait for it, and find its worker gone."""
    tasks.quick.delay("a")
    cursor = psycopg.Cursor(session)
    assert cursor.execute(leases.LOCK_WORKER, {"worker": worker.id}).fetchall()
    db = connect()
    (lane,) = db.lanes(Queues())
    thread, outcome = in_background(
        lambda: (
            db.end_and_claim(worker.id, [], ClaimRequest(Queues(), 1, [])).tasks
            if slept
            else db.claim(worker.id, lane, 1, [])
        )
    )
    wait_until(lambda: list(waits_for_a_lock()), what="the claim waits for the reclaim")
    assert thread.is_alive()
    assert cursor.execute(leases.HELD, {"worker": worker.id}).fetchone()[0] == 0
    cursor.execute(leases.RETIRE, {"worker": worker.id})
    session.commit()
    assert outcome() == []
    assert Task.objects.get().state == State.READY, "no task left running under no worker"


def test_a_task_locked_by_its_finishing_transaction_is_not_waited_for(worker, session):
    """An atomic task that is about to commit: the rest is taken back without it."""
    for key in "abc":
        tasks.quick.delay(key)
    claimed = worker.claim(10, (tasks.quick.name,))
    run = claimed[0].run
    values = {"ids": [run[0]], "attempt": run[1], "worker": worker.id}
    psycopg.Cursor(session).execute(postgresql_tasks.FINISH, values)
    retired = worker.db.leases.retire(worker.id, ran=run[0], charge=True, cause="dead")
    assert not retired.complete
    assert {task.id for task in retired.tasks} == {task.id for task in claimed[1:]}
    session.commit()
    again = worker.db.leases.retire(worker.id, ran=run[0], charge=True, cause="dead")
    assert again.complete
    assert again.tasks == []
    assert Task.objects.count() == 2


def test_a_finish_that_waited_for_the_reclaim_touches_nothing(worker, session, connect):
    tasks.quick.delay("a")
    task = worker.claim_one()
    cursor = psycopg.Cursor(session)
    cursor.execute(leases.LOCK_WORKER, {"worker": worker.id})
    values = {"worker": worker.id, "blamed": task.id, "suspect": False, "charge": 1, "cause": "x"}
    values["leave"] = []
    cursor.execute(leases.RECLAIM, values)
    db = connect()
    _, outcome = in_background(lambda: db.end(worker.id, [endings.finish(task.run)]))
    wait_until(lambda: list(waits_for_a_lock()), what="the finish waits for the reclaim")
    session.commit()
    assert outcome() == set()
    assert Task.objects.get().losses == 1


def test_renewing_does_not_wait_for_a_claim_in_flight(worker, session):
    tasks.quick.delay("a")
    claim_in(session, worker, claims.CLAIM)
    assert worker.db.leases.renew([worker.id], 60.0).kept.keys() == {worker.id}


def test_reclaimers_do_not_wait_for_each_other(new_worker, session, connect):
    late = new_worker(lease=0.0)
    values = {"worker": late.id}
    assert psycopg.Cursor(session).execute(leases.LOCK_EXPIRED_WORKER, values).fetchall()
    found = connect().leases.retire(late.id, ran=None, charge=True, cause="", expired_only=True)
    assert found is None
