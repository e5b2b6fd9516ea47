"""What a person may do to tasks: retry and discard, against claims and finishes."""

from __future__ import annotations

import datetime
import threading

import pytest
from django.db import connection, connections, transaction
from django.db.models.functions import Now
from django.db.models.signals import pre_delete
from django.test.utils import CaptureQueriesContext

from stress.rig.pools import wait_until
from taskq.models import State, Task, Worker
from tests.project.lab import tasks as lab
from tests.taskq.conftest import waits_for_a_lock

HOUR = datetime.timedelta(hours=1)


def task(**fields):
    made = Task.objects.create(name="work", **fields)
    made.refresh_from_db()
    return made


def failed(**fields):
    return task(state=State.FAILED, attempt=3, error="Boom: it broke", failed_at=Now(), **fields)


def holder(left=HOUR):
    return Worker.objects.create(pool="p", name="w", host="h", pid=1, lease_expires_at=Now() + left)


@pytest.fixture(params=["lease ran out", "worker is gone", "nobody holds it"])
def lost(request, db):
    by = {"lease ran out": lambda: holder(-HOUR).pk, "worker is gone": lambda: 4711}
    worker = by.get(request.param, lambda: None)()
    return task(state=State.RUNNING, worker_id=worker, attempt=2, losses=1, started_at=Now())


@pytest.mark.django_db
def test_retry_makes_a_failed_task_due_as_if_it_were_new():
    made = failed(
        retries=3,
        losses=2,
        isolated=True,
        traceback="Traceback",
        started_at=Now(),
        unknown_since=Now(),
        execute_at=Now() - HOUR,
        queue="mail",
        priority=7,
    )
    assert Task.objects.all().retry() == 1
    again = Task.objects.get()
    assert Task.objects.pending().get() == made
    assert (again.retries, again.losses) == (0, 0)
    assert (again.failed_at, again.started_at, again.unknown_since) == (None, None, None)
    assert again.execute_at > made.execute_at + HOUR / 2
    # Kept: what the fence and the claim need, and what the person may still want to read.
    assert (again.attempt, again.isolated) == (3, True)
    assert (again.error, again.traceback) == ("Boom: it broke", "Traceback")
    assert (again.queue, again.priority) == ("mail", 7)


@pytest.mark.django_db
def test_retry_lifts_an_expiry_that_has_passed_and_keeps_one_to_come():
    passed, to_come = failed(expires_at=Now() - HOUR), failed(expires_at=Now() + HOUR)
    Task.objects.all().retry()
    assert Task.objects.get(pk=passed.pk).expires_at is None
    assert Task.objects.get(pk=to_come.pk).expires_at == to_come.expires_at


@pytest.mark.django_db
def test_retry_hastens_what_waits_for_its_next_run_but_not_what_is_delayed():
    waits = task(attempt=1, retries=1, execute_at=Now() + HOUR)
    delayed = task(execute_at=Now() + HOUR)
    assert Task.objects.all().retry() == 1
    assert list(Task.objects.pending()) == [waits]
    assert list(Task.objects.future()) == [delayed]


def test_retry_makes_a_lost_task_due_and_has_it_claimed_alone(lost):
    assert Task.objects.all().retry() == 1
    again = Task.objects.pending().get()
    assert (again.worker_id, again.started_at) == (None, None)
    assert (again.attempt, again.losses, again.isolated) == (2, 0, True)


def test_discard_deletes_a_lost_task(lost):
    assert Task.objects.all().discard() == 1
    assert not Task.objects.exists()


def test_cancel_keeps_a_lost_task_as_cancelled(lost):
    assert Task.objects.all().cancel() == (0, 1)
    over = Task.objects.cancelled().get()
    assert (over.worker_id, over.error) == (None, "cancelled; its worker was lost")


@pytest.mark.django_db
def test_retry_leaves_alone_what_runs_or_is_due():
    task(state=State.RUNNING, worker=holder(), attempt=1)
    task(state=State.RUNNING, worker=holder(), attempt=1, execute_at=Now() + HOUR)
    task(attempt=1, retries=2, execute_at=Now() - HOUR)
    before = list(Task.objects.order_by("pk").values())
    assert Task.objects.all().retry() == 0
    assert list(Task.objects.order_by("pk").values()) == before


@pytest.mark.django_db
def test_discard_deletes_all_but_what_runs():
    running = task(state=State.RUNNING, worker=holder())
    task()
    task(execute_at=Now() + HOUR)
    failed()
    assert Task.objects.all().discard() == 3
    assert list(Task.objects.all()) == [running]


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_verbs_touch_only_the_tasks_they_are_asked_about(verb):
    for queue in ("mail", "mail", "mail", "sms"):
        failed(queue=queue)
    few = Task.objects.filter(queue="mail").order_by("pk")[:2]
    assert getattr(few, verb)() == 2
    assert Task.objects.failed().count() == 2
    assert getattr(Task.objects.failed().filter(queue="sms").distinct(), verb)() == 1
    assert getattr(Task.objects.none(), verb)() == 0
    # By way of the worker's row: the condition needs a join.
    assert getattr(Task.objects.filter(worker__lease_expires_at__isnull=True).failed(), verb)() == 1


@pytest.mark.parametrize("verb", ["retry", "discard", "cancel", "run_now"])
def test_verbs_are_not_for_all_tasks_by_accident(verb):
    assert not hasattr(Task.objects, verb)
    assert getattr(Task.objects.none(), verb).alters_data


@pytest.mark.django_db
def test_run_now_makes_what_waits_due_and_touches_nothing_else():
    delayed = task(execute_at=Now() + HOUR)
    retried = task(execute_at=Now() + HOUR, attempt=2, retries=2, error="E: e")
    due, over = task(execute_at=Now() - HOUR), failed()
    held = task(state=State.RUNNING, worker=holder(), attempt=1, execute_at=Now() + HOUR)
    assert Task.objects.all().run_now() == 2
    assert {*Task.objects.pending()} == {delayed, retried, due}
    assert Task.objects.get(pk=retried.pk).retries == 2
    assert Task.objects.get(pk=due.pk).execute_at == due.execute_at
    assert Task.objects.get(pk=held.pk).execute_at == held.execute_at
    assert Task.objects.failed().get() == over
    assert Task.objects.all().run_now() == 0


@pytest.mark.django_db
def test_discard_checks_the_state_in_the_delete_itself_and_reads_no_task():
    def listener(**kwargs):
        raise AssertionError("Django's own way of deleting was taken")

    failed()
    pre_delete.connect(listener, sender=Task)
    try:
        with CaptureQueriesContext(connection) as queries:
            assert Task.objects.all().discard() == 1
    finally:
        pre_delete.disconnect(listener, sender=Task)
    statements = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
    look_for_workflows, delete = statements
    assert look_for_workflows.startswith("SELECT 1")
    assert delete.startswith("DELETE")
    assert '"state" = 1' in delete


@pytest.mark.postgresql
@pytest.mark.parametrize("verb", ["retry", "discard"])
@pytest.mark.parametrize("by", ["state", "worker"])
def test_a_task_that_is_claimed_meanwhile_is_left_alone(transactional_db, worker, verb, by):
    """The verb sees the row as it was before a claim that has yet to commit."""
    made = task(attempt=1, retries=1, execute_at=Now() + HOUR)
    if by == "state":
        chosen = Task.objects.future()
    else:
        chosen = Task.objects.filter(worker__lease_expires_at__isnull=True)
    counts = []

    def act():
        counts.append(getattr(chosen, verb)())
        connections.close_all()

    with transaction.atomic():
        # As a claim of a task that became due just now.
        Task.objects.filter(pk=made.pk).update(
            state=State.RUNNING, worker=worker.id, attempt=2, execute_at=Now()
        )
        thread = threading.Thread(target=act)
        thread.start()
        wait_until(waits_for_a_lock, what="the verb waits for the claim")
    thread.join(60)
    assert counts == [0]
    assert Task.objects.get().state == State.RUNNING


@pytest.mark.postgresql
def test_a_claim_passes_over_what_is_being_discarded(transactional_db, worker):
    task()
    with transaction.atomic():
        assert Task.objects.all().discard() == 1
        assert worker.claim() == []
    assert not Task.objects.exists()


@pytest.mark.postgresql
@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_tasks_are_locked_in_order_so_that_two_who_do_this_never_deadlock(transactional_db, verb):
    for pk in (3, 2, 1):  # not as they lie in the table
        failed(pk=pk)

    def act():
        getattr(Task.objects.order_by("-pk"), verb)()
        connections.close_all()

    with transaction.atomic():
        locked = Task.objects.filter(pk=2).select_for_update().get()
        thread = threading.Thread(target=act)
        thread.start()
        wait_until(waits_for_a_lock, what="the verb waits for the second")
        free = Task.objects.select_for_update(skip_locked=True).values_list("pk", flat=True)
        assert sorted(free) == [locked.pk, 3]
    thread.join(60)


def test_a_sleeping_pool_starts_a_retried_task_at_once(start_pool, runs):
    Task.objects.create(name=lab.quick.name, payload='[["b"],{}]', state=State.FAILED, attempt=4)
    # Its poll is far off: only the wake-up can be in time.
    start_pool("-c", 1, "--poll", 30)
    if connection.vendor == "postgresql":
        wait_until(lambda: Worker.objects.filter(listens=True).exists())
    lab.quick.delay("a")  # once it has run, the pool has looked and sleeps
    wait_until(lambda: runs("end", "a") and not Task.objects.exclude(state=State.FAILED).exists())
    assert Task.objects.failed().retry() == 1
    wait_until(lambda: runs("end", "b"))


@pytest.mark.postgresql
@pytest.mark.django_db
def test_nobody_is_notified_while_no_pool_listens():
    failed()
    with CaptureQueriesContext(connection) as queries:
        Task.objects.all().retry()
    (wake,) = [q["sql"] for q in queries if "pg_notify" in q["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(wake)
        assert cursor.fetchall() == []
        Worker.objects.create(
            pool="p", name="w", host="h", pid=1, lease_expires_at=Now() + HOUR, listens=True
        )
        cursor.execute(wake)
        assert len(cursor.fetchall()) == 1
