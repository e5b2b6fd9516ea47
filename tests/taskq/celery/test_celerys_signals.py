"""Celery's signals: when they come, from whom, and with what."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

from taskq import signals as own
from taskq.celery import Ignore, Task, chain, chord, group, shared_task, signals
from taskq.exceptions import WorkerLost
from taskq.models import Task as Row
from taskq.testing import run_all
from tests.project.lab import tasks as lab
from tests.receivers import as_before

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("registered", "no_receivers", "no_celery_receivers"),
]

RUN = ("task_prerun", "task_success", "task_failure", "task_retry", "task_revoked", "task_postrun")


@pytest.fixture
def no_celery_receivers():
    with as_before(signals):
        yield


@pytest.fixture
def heard():
    """Listen to the signals of a run. What comes, as (signal, sender, arguments)."""
    found, keep = [], []
    for name in RUN:

        def receiver(sender, signal, name=name, **arguments):
            found.append((name, sender, arguments))

        keep.append(receiver)
        getattr(signals, name).connect(receiver)
    yield found
    del keep


class Hooked(Task):
    def after_return(self, *args):
        pass


@pytest.fixture(params=["plain", "hooked", "eager"])
def run(request, settings):
    def make_and_run(function, **options):
        settings.CELERY_TASK_ALWAYS_EAGER = request.param == "eager"
        base = Hooked if request.param == "hooked" else None
        task = shared_task(name="work", base=base, bind=True, **options)(function)
        result = task.apply_async((1,), {"b": 2})
        if request.param != "eager":
            run_all(propagate=False, forward=None)
        return task, result

    return make_and_run


def add(self, a, b):
    return a + b


def test_the_signals_of_a_run_that_succeeds(run, heard):
    task, result = run(add)
    assert [(name, sender) for name, sender, _ in heard] == [
        ("task_prerun", task),
        ("task_success", task),
        ("task_postrun", task),
    ]
    call = {"task_id": result.id, "task": task, "args": [1], "kwargs": {"b": 2}}
    assert heard[0][2] == call
    assert heard[1][2]["result"] == 3
    assert 0 <= heard[1][2]["runtime"] < 60
    assert heard[2][2] == {**call, "retval": 3, "state": "SUCCESS"}


def test_the_signals_of_a_run_that_is_retried_and_fails(run, heard):
    def fail(self, a, b):
        try:
            raise KeyError(a)
        except KeyError as error:
            self.retry(exc=error, countdown=0, max_retries=1)

    task, result = run(fail)
    assert [name for name, _, _ in heard] == [
        "task_prerun",
        "task_retry",
        "task_postrun",
        "task_prerun",
        "task_failure",
        "task_postrun",
    ]
    retry, failure = heard[1][2], heard[4][2]
    assert (retry["request"].id, repr(retry["reason"].exc)) == (result.id, "KeyError(1)")
    assert (failure["task_id"], repr(failure["exception"])) == (result.id, "KeyError(1)")
    assert (failure["args"], failure["kwargs"]) == ([1], {"b": 2})
    assert "KeyError: 1" in str(failure["einfo"])
    assert [heard[at][2]["state"] for at in (2, 5)] == ["RETRY", "FAILURE"]
    assert heard[4][1] is task


def test_a_run_that_is_ignored_only_has_a_postrun(run, heard):
    def ignore(self, a, b):
        raise Ignore

    run(ignore)
    names = [name for name, _, _ in heard]
    assert names[0] == "task_prerun"
    assert not {"task_success", "task_failure", "task_retry"} & {*names}


def test_a_receiver_of_one_task_by_its_sender():
    found = []

    @signals.task_success.connect(sender=lab.add)
    def of_add(sender, result, **kwargs):
        found.append(result)

    lab.add.delay(1, 2)
    lab.quick.delay("a")
    run_all()
    assert found == [3]


def test_the_signals_of_sending():
    found = []

    @signals.before_task_publish.connect(sender=lab.add.name)
    def before(sender, headers, body, routing_key, **kwargs):
        found.append((sender, body[0], routing_key, headers["id"]))
        headers["trace"] = "abc"

    @signals.after_task_publish.connect
    def after(sender, headers, body, routing_key, **kwargs):
        found.append((sender, body[0], routing_key, headers["id"]))

    result = lab.add.apply_async((1, 2), queue="mail")
    assert found == [(lab.add.name, (1, 2), "mail", result.id)] * 2
    lab.quick.delay("a")
    assert len(found) == 3
    assert '"trace":"abc"' in Row.objects.earliest("pk").payload.replace(" ", "")


def test_the_id_that_a_receiver_reads_before_the_send_is_that_of_the_run():
    found = []

    @signals.before_task_publish.connect
    def before(headers, **kwargs):
        found.append(headers["id"])

    @signals.task_prerun.connect
    def begun(task_id, **kwargs):
        found.append(task_id)

    sent = [lab.add.delay(1, 2), lab.add.apply_async((1, 2), task_id="of the caller")]
    assert found == [each.id for each in sent]
    assert found[1] == "of the caller"
    run_all()
    assert found == [each.id for each in sent] * 2


@pytest.mark.parametrize("kind", [group, chord, chain])
def test_each_task_of_a_workflow_has_its_id_before_the_send(kind):
    before, begun = [], []

    @signals.before_task_publish.connect
    def publishing(headers, **kwargs):
        before.append(headers["id"])

    @signals.task_prerun.connect
    def running(task_id, **kwargs):
        begun.append(task_id)

    parts = [lab.add.si(1, 2), lab.add.si(3, 4), lab.add.si(5, 6)]
    result = kind(parts[:2])(parts[2]) if kind is chord else kind(parts).delay()
    run_all()
    assert len(set(before)) == 3
    assert sorted(before) == sorted(begun)
    own = [each.id for each in result.results] if kind is group else [result.id]
    assert set(own) <= set(before)


def test_a_task_that_its_workers_death_has_ended_has_failed(heard):
    result = lab.add.delay(1, b=2)
    fields = {"id": result.id, "name": lab.add.name, "cause": "killed", "losses": 3}
    own.task_lost.send(lab.add, failed=False, **fields)
    assert heard == []
    own.task_lost.send(lab.add, failed=True, **fields)
    failure = heard[0][2]
    assert (heard[0][0], failure["task_id"], failure["args"]) == ("task_failure", result.id, [1])
    assert isinstance(failure["exception"], WorkerLost)


def test_a_receiver_that_raises_harms_nothing(caplog):
    @signals.task_prerun.connect
    def broken(**kwargs):
        raise ValueError("in the receiver")

    lab.add.delay(1, 2)
    assert len(run_all().succeeded) == 1
    assert "in the receiver" in caplog.text


def test_connecting_and_disconnecting():
    def receiver(**kwargs):
        found.append(kwargs["sender"])

    found = []
    signals.task_sent.connect(receiver, sender="".join(["a", "b"]), weak=False, retry=True)
    signals.task_sent.send(sender="ab", task_id=1)
    signals.task_sent.send("other")
    assert found == ["ab"]
    assert signals.task_sent.has_listeners("ab")
    assert signals.task_sent.disconnect(receiver, sender="ab")
    assert not signals.task_sent.has_listeners("ab")


def test_a_receiver_of_a_signal_that_never_comes_is_told_by_the_checks():
    def receiver(**kwargs):
        pass

    assert not [each for each in run_checks() if each.id == "taskq.W023"]
    signals.beat_init.connect(receiver)
    (found,) = [each for each in run_checks() if each.id == "taskq.W023"]
    assert "beat_init" in found.msg
    assert "worker_ready" in found.hint


def test_nobody_pays_for_signals_without_receivers():
    for each in (own.task_started, own.task_succeeded, own.task_enqueuing, own.task_enqueued):
        assert not [ref for ref in each.receivers if "celery" in repr(ref)]
