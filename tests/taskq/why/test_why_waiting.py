"""Why a task waits: a real row for each reason, and what is said of it."""

from __future__ import annotations

import datetime
import uuid

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from taskq import pausing
from taskq.models import Rollup, State, Task, Worker
from taskq.models.statistics import Step
from taskq.why import Code, why
from taskq.why import lane as lane_module
from tests.project.lab import tasks

pytestmark = pytest.mark.django_db

HOUR, MINUTE = datetime.timedelta(hours=1), datetime.timedelta(minutes=1)


def task(**fields):
    """A task that has been due for a minute."""
    return Task.objects.create(**{"name": "lab.x", "execute_at": Now() - MINUTE, **fields})


def worker(number=1, serves="*", pool="web:7", lease=HOUR, **fields):
    return Worker.objects.create(
        name=f"worker {number}",
        **{"pool": pool, "host": "web", "pid": number, "serves": serves, **fields},
        lease_expires_at=Now() + lease,
    )


def busy(number=1, **fields):
    """A worker with a task that it has run for two minutes."""
    held = Task.objects.create(
        name="lab.slow",
        state=State.RUNNING,
        worker=worker(number, **fields),
        attempt=1,
        started_at=Now() - 2 * MINUTE,
    )
    return held.pk


def codes(task):
    return [reason.code for reason in why(task.pk)]


def said(task, code):
    (reason,) = [reason for reason in why(task.pk) if reason.code is code]
    return reason


def pace(queue, runs, *, name="lab.x", ago=MINUTE, **fields):
    """So many runs ended."""
    Rollup.objects.create(
        step=Step.MINUTE,
        at=(timezone.now() - ago).replace(second=0, microsecond=0),
        name=name,
        queue=queue,
        pool="1",
        done=runs,
    )


def test_it_is_found_by_each_form_of_its_id():
    worker()
    one = task(execute_at=Now() + HOUR)
    for form in (one.pk, str(one.pk), f"#{one.pk}", str(one.uuid), uuid.UUID(str(one.uuid))):
        assert [reason.code for reason in why(form)] == [Code.NOT_DUE]
    with pytest.raises(ValueError, match="'mail' is no task id: give its number"):
        why("mail")


def test_not_due():
    worker()
    one = task(execute_at=Now() + HOUR)
    reason = said(one, Code.NOT_DUE)
    one.refresh_from_db()
    assert reason.until == one.execute_at
    assert "It is due in 59 min 59 s, at " in reason.text or "in 1 h, at " in reason.text
    assert codes(one) == [Code.NOT_DUE]


def test_it_waits_for_a_retry_after_an_error():
    worker()
    one = task(
        execute_at=Now() + HOUR, attempt=3, retries=2, losses=1, error="ValueError: no\nmore\x1b"
    )
    reason = said(one, Code.WAITS_FOR_RETRY)
    assert "after this error: ValueError: no. So far it had 2 retries and 1 loss." in reason.text
    assert f"taskq_retry {one.pk}" in reason.advice
    assert codes(one) == [Code.WAITS_FOR_RETRY]


@pytest.mark.parametrize("known", [True, False])
def test_no_worker_knows_its_name(known, settings):
    settings.TASKQ = {"UNKNOWN_TASK_TTL": 7200}
    worker()
    name = tasks.quick.name if known else "lab.renamed"
    one = task(name=name, unknown_since=Now() - HOUR, execute_at=Now() + MINUTE, attempt=9)
    reason = said(one, Code.UNKNOWN_NAME)
    assert f"did not know the task {name}, for the first time 1 h ago" in reason.text
    assert ("This process knows it." in reason.text) is known
    assert "tasks.py" in reason.advice
    one.refresh_from_db()
    assert reason.until == one.unknown_since + 2 * HOUR
    assert codes(one) == [Code.UNKNOWN_NAME]
    Task.objects.update(execute_at=Now() - MINUTE)
    assert "It is tried again now." in said(one, Code.UNKNOWN_NAME).text


def test_it_has_expired():
    worker()
    one = task(expires_at=Now() - HOUR)
    assert "It expired 1 h ago, at " in said(one, Code.EXPIRED).text
    assert codes(one) == [Code.EXPIRED]


def test_it_will_have_expired_when_it_is_due():
    worker()
    one = task(execute_at=Now() + HOUR, expires_at=Now() + MINUTE)
    assert codes(one) == [Code.EXPIRES_FIRST, Code.NOT_DUE]


def test_its_queue_is_paused():
    worker()
    one = task(queue="mail")
    task(queue="mail")
    pausing.pause("mail", by="ada, the provider is down")
    reason = said(one, Code.QUEUE_PAUSED)
    assert reason.text.startswith("Its queue mail is paused since 20")
    assert reason.text.endswith(" by ada, the provider is down.")
    assert reason.advice.endswith("taskq_resume mail.")
    assert codes(one) == [Code.QUEUE_PAUSED]


def test_no_worker_is_alive():
    one = task()
    assert said(one, Code.NO_WORKER).text == "No worker is alive."
    worker(lease=-2 * HOUR)
    worker(2, lease=-HOUR)
    assert said(one, Code.NO_WORKER).text == "No worker is alive: the last lease ended 1 h ago."
    # The keeper runs no tasks.
    Worker.objects.create(
        pool="web:7", name="keeper", host="web", pid=9, lease_expires_at=Now() + HOUR
    )
    assert codes(one) == [Code.NO_WORKER]


def test_no_pool_serves_its_queue():
    one = task(queue="mail")
    worker(serves="default,news*")
    worker(2, serves="default,news*")
    worker(3, serves="sms", pool="web:8")
    worker(4, serves="mail", pool="web:9", lease=-HOUR)
    reason = said(one, Code.QUEUE_NOT_SERVED)
    assert reason.text == (
        "No pool serves the queue mail: web:7 serves default,news*; web:8 serves sms."
    )
    assert "-Q mail" in reason.advice
    assert codes(one) == [Code.QUEUE_NOT_SERVED]
    assert codes(task(queue="newsletter")) == [Code.UNEXPLAINED]


@pytest.mark.parametrize("serves", [None, "", ",", "*,mail", "ma*"])
def test_a_pool_that_may_serve_it_is_taken_to_do_so(serves):
    worker(serves=serves)
    assert codes(task(queue="mail")) == [Code.UNEXPLAINED]


def test_several_reasons_are_all_said():
    pausing.pause("mail")
    one = task(queue="mail", execute_at=Now() + HOUR)
    assert codes(one) == [Code.NOT_DUE, Code.QUEUE_PAUSED, Code.NO_WORKER]


# In line


def test_it_is_behind_others_of_its_lane():
    worker()
    first, second = task(execute_at=Now() - HOUR), task(execute_at=Now() - HOUR)
    Task.objects.filter(pk=second.pk).update(execute_at=Task.objects.get(pk=first.pk).execute_at)
    third = task()
    task(execute_at=Now() - HOUR, queue="other", priority=-1)
    task(execute_at=Now() + HOUR)
    assert Code.BEHIND not in codes(first)
    assert "Before it in line: 1 task of its queue and priority." in said(second, Code.BEHIND).text
    reason = said(third, Code.BEHIND)
    assert "Before it in line: 2 tasks of its queue and priority." in reason.text
    assert reason.text.endswith("No task of these queues ended in the last hour.")
    assert reason.until is None


def test_more_urgent_lanes_and_other_queues_of_the_same_workers_come_first():
    worker(serves="default,mail")
    one = task(queue="mail")
    task(queue="mail", priority=5)
    task(queue="mail", priority=5, execute_at=Now() + HOUR)
    task(queue="default", execute_at=Now() - HOUR)
    task(queue="default")  # later
    task(queue="news", priority=9)  # which they do not serve
    task(queue="mail", priority=-5, execute_at=Now() - HOUR)
    reason = said(one, Code.BEHIND)
    assert reason.text.startswith(
        "Before it in line: 2 tasks of other lanes (mail at priority 5, default at priority 0)."
    )
    pausing.pause("default")
    assert "1 task of other lanes (mail at priority 5)" in said(one, Code.BEHIND).text


def test_a_pace_says_when_it_starts():
    worker()
    for _ in range(10):
        task(execute_at=Now() - HOUR)
    one = task()
    pace("other", 10_000)
    assert said(one, Code.BEHIND).until is None
    pace("default", 60, ago=30 * MINUTE)
    slow = said(one, Code.BEHIND)
    assert " tasks per minute it starts about " in slow.text or " tasks per hour it" in slow.text
    pace("default", 1_200)
    before = timezone.now()
    reason = said(one, Code.BEHIND)
    # 1,200 in 2 to 3 minutes, from a moment between these two on.
    assert (reason.until - before).total_seconds() > 0.5
    assert (reason.until - timezone.now()).total_seconds() < 2
    assert " tasks per second it starts about " in reason.text


def test_the_count_has_a_limit(monkeypatch):
    monkeypatch.setattr(lane_module, "MANY", 3)
    worker()
    for _ in range(5):
        task(execute_at=Now() - HOUR)
    one = task()
    pace("default", 1_200)
    reason = said(one, Code.BEHIND)
    assert "at least 3 tasks of its queue and priority" in reason.text
    assert "it starts not before " in reason.text


def test_all_workers_are_busy():
    one = task()
    held = [busy(1), busy(2)]
    worker(3, serves="other")
    reason = said(one, Code.WORKERS_BUSY)
    assert reason.text.startswith("All 2 workers that serve its queue are busy: lab.slow #")
    assert f"lab.slow #{held[0]} on worker 1 of web:7, for 2 min" in reason.text
    assert {*reason.tasks} == {*held}
    assert codes(one) == [Code.WORKERS_BUSY]
    worker(4)
    assert codes(one) == [Code.UNEXPLAINED]


def test_the_only_worker_is_busy_and_of_many_some_are_named():
    one = task()
    busy(1)
    assert said(one, Code.WORKERS_BUSY).text.startswith(
        "The only worker that serves its queue is busy: lab.slow #"
    )
    for number in range(2, 9):
        busy(number)
    reason = said(one, Code.WORKERS_BUSY)
    assert reason.text.startswith("All 8 workers")
    assert reason.text.endswith("; and 3 more.")
    assert len(reason.tasks) == 5


def test_it_has_just_become_due():
    worker()
    one = task(execute_at=Now())
    assert codes(one) == [Code.JUST_DUE]
    assert "nothing is before it: 1 idle worker" in said(one, Code.JUST_DUE).text


def test_nothing_explains_it():
    worker()
    one = task()
    assert "It has been due for 1 min" in said(one, Code.UNEXPLAINED).text
    assert "log of the pool" in said(one, Code.UNEXPLAINED).advice


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_open_transaction_has_locked_it(call):
    worker()
    one = tasks.quick.delay("a")
    Task.objects.update(execute_at=Now() - MINUTE)

    def lock():
        Task.objects.select_for_update().get()
        return one

    other = call(lock)
    assert [reason.code for reason in why(one.id)] == [Code.LOCKED]
    other.end()
    assert [reason.code for reason in why(one.id)] == [Code.UNEXPLAINED]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_look_for_a_lock_keeps_none_and_needs_no_right_to_write():
    worker()
    one = task()
    with transaction.atomic():
        assert codes(one) == [Code.UNEXPLAINED]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() "
                "AND relation = 'taskq_task'::regclass AND mode = 'RowShareLock'"
            )
            assert cursor.fetchone() == (0,)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        (reason,) = why(one.pk)
    assert "cannot be seen from here: cannot execute SELECT FOR UPDATE" in reason.text


# What else there is to know


def test_it_is_claimed_alone():
    worker()
    assert codes(task(isolated=True)) == [Code.UNEXPLAINED, Code.CLAIMED_ALONE]


def test_a_second_task_has_its_key():
    worker()
    key = {"unique_key": "k", "unique_until": "start"}
    first = task(unique_place=0, execute_at=Now() - HOUR, **key)
    assert codes(first) == [Code.UNEXPLAINED]
    second = task(unique_place=1, **key)
    task(unique_place=0, **{**key, "unique_key": "other"}, queue="q2")
    assert codes(second) == [Code.BEHIND, Code.UNIQUE_TWIN]
    assert said(second, Code.UNIQUE_TWIN).tasks == (first.pk,)
    Task.objects.filter(pk=first.pk).update(state=State.FAILED, unique_key=F("unique_key"))
    assert Code.UNIQUE_TWIN not in codes(second)


def test_a_state_that_this_version_does_not_know():
    assert codes(task(state=7)) == [Code.UNKNOWN_STATE]
