"""What the keeper does fails apart: nothing that the database refuses stops the rest."""

import os
import signal
import time

import psutil
import psycopg
import pytest
from django.db import connection
from psycopg import errors

from pool import clock
from stress.rig.pools import wait_until
from taskq.models import Worker
from taskq.store.refusals import BUSY_LIMIT, Refusal, Refusals
from tests.project.lab import tasks


class Session:
    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


def refuse(kind=errors.InsufficientPrivilege):
    raise kind("the database says no")


def test_what_is_refused_is_said_once_and_tried_again_ever_later(caplog, monkeypatch):
    now = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    session = Session()
    refusals = Refusals("keeper", session.close, limit=60)
    tried = []

    def act():
        tried.append(clock.now())
        if len(tried) < 3:
            refuse()

    while not refusals.do("prune", act):
        now[0] += clock.SECOND // 100
    assert len(tried) == 3
    assert tried[2] - tried[1] > tried[1] - tried[0] > 0.05 * clock.SECOND
    said, over = caplog.messages
    assert said == "keeper: cannot prune: the database says no; trying again"
    assert over.startswith("keeper: can prune again after ")
    assert session.closed == 1, "its session may have been at fault"


def test_what_another_session_is_in_the_way_of_is_tried_again_soon_on_the_same_connection():
    session = Session()
    refusals = Refusals("keeper", session.close, limit=60)
    for _ in range(9):
        refusals.do("prune", lambda: refuse(errors.LockNotAvailable))
    assert not session.closed
    refusal = Refusal("keeper", "prune", limit=60)
    assert max(refusal.came(errors.LockNotAvailable("no")) for _ in range(9)) <= BUSY_LIMIT


def test_a_mistake_of_our_own_stops_nothing_else_and_is_shown_whole(caplog):
    refusals = Refusals("keeper", Session().close, limit=60)
    assert not refusals.do("prune", lambda: {}["nothing"])
    assert refusals.do("renew leases", lambda: None)
    assert "Traceback" in caplog.text
    assert "'nothing'" in caplog.text


@pytest.mark.parametrize("kind", [psycopg.OperationalError, errors.AdminShutdown])
def test_a_lost_connection_is_not_kept_apart(kind):
    refusals = Refusals("keeper", Session().close, limit=60)
    with pytest.raises(kind):
        refusals.do("prune", lambda: refuse(kind))


def test_a_refusal_tells_when_to_try_again():
    refusals = Refusals("keeper", Session().close, limit=60)
    assert refusals.due("prune", 7) == 7
    refusals.do("prune", refuse)
    assert refusals.due("prune", 7) == refusals.next_due > clock.now()
    refusals.keep(["renew leases"])
    assert refusals.due("prune", 7) == 7


def test_a_refusal_is_over_when_it_was_done(caplog):
    refusal = Refusal("worker 1", "claim tasks", limit=2.0)
    refusal.over()
    assert not caplog.messages
    pauses = [refusal.came(errors.RaiseException("no")) for _ in range(9)]
    assert pauses[0] < pauses[3] <= pauses[8] <= 2.0
    refusal.over()
    assert refusal.due == 0
    assert len(caplog.messages) == 2


CURSE = {
    "postgresql": (
        """
        CREATE FUNCTION curse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF OLD.name = 'cursed' THEN RAISE 'the site has its own ideas'; END IF;
            RETURN OLD;
        END $$
        """,
        "CREATE TRIGGER curse BEFORE DELETE ON taskq_worker FOR EACH ROW EXECUTE FUNCTION curse()",
    ),
    "sqlite": (
        """
        CREATE TRIGGER curse BEFORE DELETE ON taskq_worker WHEN OLD.name = 'cursed'
        BEGIN SELECT RAISE(ABORT, 'the site has its own ideas'); END
        """,
    ),
}


@pytest.fixture
def cursed(transactional_db):
    """A worker whose lease has run out, and that the database does not let go."""
    with connection.cursor() as cursor:
        for statement in CURSE[connection.vendor]:
            cursor.execute(statement)
    Worker.objects.create(
        pool="gone:1", host="gone", name="cursed", pid=1, lease_expires_at="2000-01-01T00:00Z"
    )
    yield
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DROP FUNCTION curse CASCADE")
        else:
            cursor.execute("DROP TRIGGER curse")


def test_a_lease_that_cannot_be_ended_stops_no_other_duty(cursed, start_pool, runs):
    pool = start_pool("-c", 1, "--lease", "6", "--heartbeat", "0.5")
    pool.wait_for_log("the site has its own ideas")
    tasks.nap_at_first.delay("a", 60)
    (first,) = wait_until(lambda: runs("start", "a"))
    os.kill(first["pid"], signal.SIGKILL)
    wait_until(lambda: runs("end", "a"))
    tasks.nap.delay("b", 8)  # longer than a lease that nobody renews
    wait_until(lambda: runs("end", "b"))
    assert len(runs("start", "b")) == 1
    assert "does not answer" not in pool.log()
    assert pool.log().count("the site has its own ideas") == 1
    assert pool.stop() == 0


def test_a_lease_that_cannot_be_given_up_and_is_taken_over_keeps_no_keeper_awake(
    refusing, start_pool
):
    """What was refused is never tried again then, and so never due."""
    pool = start_pool("-c", 1, "--lease", "3", "--heartbeat", "1").wait_ready(1)
    (lease,) = Worker.objects.filter(name="worker 1").values_list("pk", flat=True)
    refusing("DELETE", "taskq_worker", f"OLD.id = {lease}")
    os.kill(pool.children("keeper")["keeper"], signal.SIGKILL)  # the next one ends all leases
    pool.wait_for_log("the site has its own ideas")
    Worker.objects.filter(pk=lease).update(lease_expires_at="2000-01-01T00:00Z")
    wait_until(lambda: Worker.objects.filter(name="worker 1").count() == 2)
    keeper = psutil.Process(wait_until(lambda: pool.children("keeper"))["keeper"])

    def at_work():
        return sum(keeper.cpu_times()[:2])

    def idle():
        before = at_work()
        time.sleep(2.0)
        return at_work() - before < 0.4

    wait_until(idle, what="it has done what comes first")
