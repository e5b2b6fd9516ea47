"""``task_id=``, states of a task's own, ``Ignore`` and ``Reject``, and limits of a single call."""

from __future__ import annotations

import datetime
import uuid

import pytest
from django.db import transaction
from django.utils import timezone

from taskq.celery import AsyncResult, Ignore, Reject, shared_task, states
from taskq.models import IdempotencyKey
from taskq.models import Task as Row
from taskq.store import endings
from taskq.task.payload import PayloadError
from taskq.testing import run_all
from tests.project.lab import tasks as lab

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]


@pytest.fixture
def own_id():
    @shared_task(bind=True, name="own_id", ignore_result=False, default_retry_delay=0)
    def own_id(self, fail=False):
        if fail and self.request.retries == 0:
            self.retry(countdown=0)
        return self.request.id, dict(self.request.headers), self.request.correlation_id

    return own_id


@pytest.mark.parametrize("given", ["report-7", str(uuid.NAMESPACE_URL), uuid.NAMESPACE_DNS])
def test_the_id_of_the_caller_is_that_of_its_runs_and_results(own_id, given):
    result = own_id.apply_async((True,), task_id=given, headers={"a": 1})
    assert (result.id, result.status) == (str(given), "PENDING")
    assert AsyncResult(given).name == "own_id"
    run_all(forward=None)
    assert AsyncResult(given).get() == [str(given), {"a": 1}, str(given)]
    assert AsyncResult(str(given)) == result


def test_a_second_send_with_the_same_id_is_another_task_and_the_id_is_its(own_id):
    first = own_id.apply_async(task_id="report")
    second = own_id.apply_async(task_id="report")
    assert Row.objects.count() == 2
    assert AsyncResult("report")._pk == second._pk != first._pk
    assert AsyncResult("report").revoke()
    assert Row.objects.get().pk == first._pk


def test_the_id_goes_with_the_transaction(own_id):
    with transaction.atomic():
        own_id.apply_async(task_id="report")
        transaction.set_rollback(True)
    assert AsyncResult("report").status == "PENDING"
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("wrong", ["12", "#12", "", "x" * 1000, 12, b"x", str(uuid.UUID(int=12))])
def test_an_id_that_cannot_be_given_is_refused(own_id, wrong):
    with pytest.raises((TypeError, ValueError), match="task_id is "):
        own_id.apply_async(task_id=wrong)


def test_an_eager_run_has_the_id_too(own_id, settings):
    assert own_id.apply(task_id="report").get()[0] == "report"
    settings.CELERY_TASK_ALWAYS_EAGER = True
    result = own_id.apply_async(task_id="report")
    assert result.id == result.get()[0] == "report"


def test_roots_and_parents_are_those_that_the_call_says():
    @shared_task(bind=True, name="lineage", ignore_result=False)
    def lineage(self):
        return self.request.root_id, self.request.parent_id

    plain = lineage.delay()
    given = lineage.apply_async(root_id="r", parent_id="p")
    run_all()
    assert plain.get() == [plain.id, None]
    assert given.get() == ["r", "p"]


# States of a task's own


def test_a_run_says_its_state():
    @shared_task(bind=True, name="work")
    def work(self, fail=False):
        self.update_state(state="PROGRESS", meta={"at": 3})
        result = AsyncResult(self.request.id)
        seen.append((result.state, result.info, result.ready()))
        self.update_state(self.request.id, states.SUCCESS, {"at": 4})
        seen.append((result.state, result.info, result.ready()))
        if fail:
            raise KeyError

    seen = []
    result = work.delay()
    run_all()
    said = [("PROGRESS", {"at": 3}, False), ("SUCCESS", {"at": 4}, False)]
    assert seen == said
    assert result.state == "PENDING"  # nothing is kept of it
    result = work.delay(True)
    run_all(propagate=False)
    assert (result.state, result.ready()) == ("FAILURE", True)


def test_the_state_of_an_earlier_run_is_not_shown():
    @shared_task(bind=True, name="work")
    def work(self):
        if self.request.retries == 0:
            self.update_state(state="PROGRESS", meta=1)
            self.retry(countdown=60)
        seen.append(AsyncResult(self.request.id).state)

    seen = []
    result = work.delay()
    run_all()
    assert (result.state, result.info) == ("RETRY", None)
    run_all(forward=None)
    assert seen == ["STARTED"]


def test_a_wrong_state_is_refused():
    @shared_task(bind=True, name="work")
    def work(self):
        for wrong, error in [
            ({"state": 5}, TypeError),
            ({"state": "x" * 60}, ValueError),
            ({"meta": object()}, TypeError),
            ({"meta": "x" * 300_000}, PayloadError),
            ({"task_id": "another"}, ValueError),
        ]:
            with pytest.raises(error):
                self.update_state(**wrong)
        seen.append("all")

    seen = []
    work.delay()
    run_all()
    assert seen == ["all"]
    work.update_state(state="PROGRESS")  # outside of a run it does nothing


# Ignore and Reject


@pytest.mark.parametrize("error", [Ignore(), Reject("no"), Ignore("enough")])
def test_a_task_that_asks_to_be_ignored_is_forgotten(error, caplog):
    @shared_task(name="work", ignore_result=False, autoretry_for=(Exception,))
    def work():
        raise error

    caplog.set_level("INFO", "taskq")
    result = work.delay()
    report = run_all(propagate=False)
    assert len(report) == len(report.ignored) == 1
    assert (result.state, Row.objects.count()) == ("PENDING", 0)
    assert "is ignored, as it asked" in caplog.text


def test_an_atomic_task_that_is_ignored_has_written_nothing():
    @shared_task(name="work", atomic=True)
    def work():
        IdempotencyKey.objects.create(name="x", key="y")
        raise Ignore

    work.delay()
    run_all(propagate=False)
    assert not IdempotencyKey.objects.exists()
    assert not Row.objects.exists()


def test_a_task_that_is_rejected_to_be_queued_again_runs_again():
    @shared_task(bind=True, name="work", max_retries=0)
    def work(self):
        runs.append(self.request.retries)
        if len(runs) < 3:
            raise Reject("later", requeue=True)

    runs = []
    work.delay()
    run_all(forward=datetime.timedelta(minutes=1))
    assert runs == [0, 1, 2]


def test_what_a_task_said_before_it_asks_to_be_ignored_stays():
    @shared_task(bind=True, name="work", ignore_result=False)
    def work(self, state, meta):
        self.update_state(state=state, meta=meta)
        raise Ignore

    failed, done = work.delay("FAILURE", "bad input"), work.delay("SUCCESS", [1])
    run_all(propagate=False)
    assert (failed.state, str(failed.result)) == ("FAILURE", "bad input")
    assert (done.state, done.get()) == ("SUCCESS", [1])


# A retry that changes the call


def test_a_retry_changes_what_it_says_and_nothing_else():
    @shared_task(bind=True, name="work", max_retries=5)
    def work(self, a, b=0):
        row = Row.objects.get()
        request = self.request
        runs.append((a, b, request.queue, row.priority, request.headers, request.timelimit))
        if len(runs) == 1:
            self.retry(args=(2,), kwargs={"b": 3}, countdown=0)
        if len(runs) == 2:
            self.retry(queue="mail", priority=7, headers={"x": 2}, countdown=0)
        if len(runs) == 3:
            self.retry(time_limit=60, soft_time_limit=50, countdown=0)
        if len(runs) == 4:
            self.retry((5,), {}, expires=3600, countdown=0)
        runs.append(row.expires_at)

    runs = []
    work.apply_async((1,), headers={"y": 1})
    run_all(forward=None)
    none = (None, None)
    assert runs[:5] == [
        (1, 0, "default", 0, {"y": 1}, none),
        (2, 3, "default", 0, {"y": 1}, none),
        (2, 3, "mail", 7, {"y": 1, "x": 2}, none),
        (2, 3, "mail", 7, {"y": 1, "x": 2}, (60.0, 50.0)),
        (5, 0, "mail", 7, {"y": 1, "x": 2}, (60.0, 50.0)),
    ]
    assert runs[5] > timezone.now() + datetime.timedelta(minutes=50)


def test_a_retry_that_cannot_be_called_is_refused_in_the_run():
    @shared_task(bind=True, name="work")
    def work(self, a):
        for wrong in (
            {"args": (1, 2)},
            {"kwargs": {"c": 1}},
            {"args": (object(),)},
            {"queue": 5},
            {"priority": 500},
            {"no_such": 1},
            {"link": "x"},
        ):
            with pytest.raises((TypeError, ValueError)):
                self.retry(**wrong)
        seen.append("all")

    seen = []
    work.delay(1)
    run_all()
    assert seen == ["all"]


def test_a_retry_that_changes_its_call_is_kept_for_the_keeper():
    changes = {"payload": "[[1],{}]", "queue": "mail", "priority": 3, "expires": timezone.now()}
    for given in (changes, {"lifetime": 5.0}, {}):
        ending = endings.retry(
            (7, 1), when=timezone.now(), delay=0.0, error="e", traceback="t", changes=given
        )
        assert endings.decoded([(*ending.run, ending.encoded())]) == [ending]
        assert endings.checked(*ending) == ending


def test_an_eager_retry_changes_the_call():
    @shared_task(bind=True, name="work")
    def work(self, a):
        if self.request.retries == 0:
            self.retry(args=(a + 1,), countdown=0)
        return a

    assert work.apply((1,)).get() == 2


# Limits of a single call


@pytest.mark.parametrize(
    "wrong", [{"time_limit": 0}, {"soft_time_limit": -1}, {"time_limit": 1, "soft_time_limit": 2}]
)
def test_wrong_limits_of_a_call_are_refused(wrong):
    with pytest.raises(ValueError, match="time_limit is "):
        lab.quick.apply_async(("a",), **wrong)


def test_a_run_knows_its_limits():
    @shared_task(bind=True, name="work", time_limit=100)
    def work(self):
        seen.append(self.request.timelimit)

    seen = []
    work.delay()
    work.apply_async(soft_time_limit=20)
    run_all()
    assert seen == [(100.0, None), (100.0, 20.0)]


def test_a_run_has_the_fields_of_celery():
    @shared_task(bind=True, name="work")
    def work(self, a, b=0):
        request = self.request
        assert (request.task, request.called_directly, request.is_eager) == ("work", False, False)
        assert "@" in request.hostname
        delivered = request.delivery_info
        assert (delivered["routing_key"], delivered["exchange"]) == ("default", "")
        assert not delivered["redelivered"]
        assert delivered["priority"] == delivered.get("priority") == 7
        assert (delivered.get("headers", 1), "priority" in {**delivered}) == (1, False)
        assert (request.argsrepr, request.kwargsrepr) == ("[1]", "{'b': 2}")
        assert request.get("reply_to") is request.get("no_such_field") is None
        seen.append(request.id)

    seen = []
    result = work.apply_async((1,), {"b": 2}, priority=7)
    run_all()
    assert seen == [result.id]


def test_an_id_is_pruned_once_nothing_of_its_task_is_left(own_id, db_store):
    def prune():
        old = timezone.now() - datetime.timedelta(days=2)
        IdempotencyKey.objects.update(created_at=old)
        db_store.pruning.prune_keys(86400, 100)
        return [key.key for key in IdempotencyKey.objects.all()]

    own_id.apply_async(task_id="done")
    run_all()
    own_id.apply_async(task_id="waits", countdown=10**6)
    own_id.apply_async(task_id="revoked", countdown=10**6).revoke()
    own_id.apply_async(idempotency_key="plain")
    assert sorted(prune()) == ["done", "waits"]
    AsyncResult("done").forget()
    assert prune() == ["waits"]
