"""Signals: who hears of what, and that a receiver that fails harms nothing."""

import logging
import os
import signal

import pytest
from django.db import connection, transaction
from django.dispatch import Signal

from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq import signals
from taskq.models import Task
from taskq.task.payload import PayloadError
from taskq.testing import run_all
from tests.project.lab import receivers, tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def listen():
    """Connect receivers for the time of the test."""
    connected: list[tuple[Signal, object]] = []

    def connect(signal, receiver, **options):
        signal.connect(receiver, weak=False, **options)
        connected.append((signal, receiver, options.get("sender")))

    yield connect
    for to, receiver, sender in connected:
        assert to.disconnect(receiver, sender=sender)


# Sending


def test_who_listens_adds_headers_which_the_run_has(listen, worker):
    def inject(sender, name, headers, **kwargs):
        headers["traceparent"] = f"00-{name}"

    listen(signals.task_enqueuing, inject, sender=tasks.tell)
    tasks.tell.apply_async(("a",), headers={"given": 1})
    tasks.tell.delay_many([("b",), ("c",)])
    tasks.quick.delay("d")
    payloads = list(Task.objects.order_by("pk").values_list("payload", flat=True))
    trace = f'"traceparent":"00-{tasks.tell.name}"'
    assert payloads == [
        f'[["a"],{{}},{{"given":1,{trace}}}]',
        f'[["b"],{{}},{{{trace}}}]',
        f'[["c"],{{}},{{{trace}}}]',
        '[["d"],{}]',
    ]


def test_who_listens_hears_of_each_task_that_is_sent(listen):
    heard = []
    listen(signals.task_enqueued, lambda **fields: heard.append(fields))
    sent = [tasks.quick.apply_async(("a",), queue="mail"), *tasks.quick.delay_many([("b",)] * 2)]
    assert [each["id"] for each in heard] == [result.id for result in sent]
    assert [each["queue"] for each in heard] == ["mail", "default", "default"]
    assert {(each["name"], each["sender"]) for each in heard} == {(tasks.quick.name, tasks.quick)}


def test_of_a_call_that_joins_a_unique_task_nobody_hears(listen):
    heard = []
    listen(signals.task_enqueued, lambda **fields: heard.append(fields["id"]))
    first = tasks.solo.delay("a")
    assert tasks.solo.delay("a").id == first.id
    many = tasks.solo.delay_many([("a",), ("b",), ("b",)])
    assert heard == [first.id, many[1].id]


def test_a_receiver_that_fails_harms_nothing(listen, caplog):
    def fail(**fields):
        raise ValueError("no good")

    def fail_in_sql(**fields):
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")

    heard = []
    listen(signals.task_enqueuing, fail)
    listen(signals.task_enqueued, fail_in_sql)
    listen(signals.task_enqueued, fail)
    listen(signals.task_enqueued, lambda **fields: heard.append(fields))
    with caplog.at_level(logging.ERROR, "taskq"), transaction.atomic():
        Order.objects.create(number=1)
        tasks.quick.delay("a")
        Order.objects.create(number=2)
    assert Task.objects.count() == len(heard) == 1
    assert Order.objects.count() == 2
    assert "fail_in_sql" in caplog.text
    assert "no good" in caplog.text


@pytest.mark.parametrize(
    ("headers", "error", "text"),
    [
        (["a"], TypeError, r"headers is \['a'\]: give a dict with keys of str, or None"),
        ({1: "a"}, TypeError, "headers is {1: 'a'}"),
        ({"a": object()}, PayloadError, r"headers\['a'\] is of type object, which JSON cannot"),
        ({"a": "x" * 300_000}, PayloadError, "the arguments and headers take 3000.. bytes"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused_by_name(headers, error, text):
    with pytest.raises(error, match=text):
        tasks.quick.apply_async(("a",), headers=headers)
    assert not Task.objects.exists()


def test_headers_that_a_receiver_spoils_are_refused(listen):
    listen(signals.task_enqueuing, lambda headers, **_: headers.update({1: 2}))
    with pytest.raises(TypeError, match="as receivers of task_enqueuing left it"):
        tasks.quick.delay("a")


def test_an_eager_run_has_its_headers_too(settings, runs):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    result = tasks.headers_of.apply_async(headers={"a": 1})
    assert result.get() == {"a": 1}


# Running, in a pool whose workers note what they hear (tests/project/lab/receivers.py)


@pytest.fixture
def heard(start_pool, runs):
    """A pool whose processes listen, and what they heard of a task."""
    pool = start_pool("-c", 1, TASKQ_TEST_RECEIVERS="1")

    def of(result=None, *, last):
        """Until this was heard of it: all that was, as (signal, fields)."""

        def found():
            id = None if result is None else str(result.id)
            notes = [note for note in runs("heard") if id is None or note["id"] == id]
            return notes if any(note["signal"] == last for note in notes) else None

        return wait_until(found)

    of.pool = pool
    return of


def names(notes):
    return [note["signal"] for note in notes]


def test_a_task_that_is_done(heard):
    result = tasks.tell.apply_async(("a",), headers={"trace": "7"})
    notes = heard(result, last="task_succeeded")
    assert names(notes) == ["task_started", "task_succeeded"]
    for note in notes:
        assert (note["name"], note["sender"]) == (tasks.tell.name, repr(tasks.tell))
        assert note["headers"] == {"trace": "7"}
    assert notes[1]["seconds"] > 0


def test_a_task_that_is_retried_and_fails(heard):
    result = tasks.fail_and_retry.delay("a")
    notes = heard(result, last="task_failed")
    assert names(notes) == [*["task_started", "task_retried"] * 2, "task_started", "task_failed"]
    assert {(note["error"], note["exception"]) for note in notes if "error" in note} == {
        ("ValueError: again", "ValueError('again')")
    }
    assert "Traceback" in notes[-1]["traceback"]
    assert [note["retries"] for note in notes] == [0, 0, 1, 1, 2, 2]


def test_a_task_that_loses_its_worker(heard, runs):
    result = tasks.nap_once.delay("a", 60)
    os.kill(wait_until(lambda: runs("start", "a"))[0]["pid"], signal.SIGKILL)
    notes = heard(result, last="task_lost")
    assert names(notes) == ["task_started", "task_lost"]
    lost = notes[1]
    assert (lost["cause"], lost["losses"], lost["failed"]) == ("killed by SIGKILL", 1, True)
    assert lost["pid"] == heard.pool.children("keeper")["keeper"]
    assert lost["sender"] == repr(tasks.nap_once)


def test_a_task_that_is_cancelled(heard, runs):
    result = tasks.nap.delay("a", 60)
    wait_until(lambda: runs("start", "a"))
    result.cancel()
    notes = heard(result, last="task_cancelled")
    assert names(notes) == ["task_started", "task_cancelled"]
    assert "TaskCancelled" in notes[1]["error"]


def test_the_worker_itself(heard):
    assert heard.pool.stop() == 0
    notes = [note for note in heard(last="worker_stopped") if note["signal"].startswith("worker")]
    assert names(notes) == ["worker_started", "worker_stopped"]
    assert {note["worker"] for note in notes} == {"worker 1"}


def test_what_a_receiver_sets_the_task_sees_and_the_next_does_not(heard, runs):
    for key, headers in [("a", {"trace": "7"}), ("b", None)]:
        heard(tasks.trace.apply_async((key,), headers=headers), last="task_succeeded")
    heard(tasks.trace_async.apply_async(("c",), headers={"trace": "8"}), last="task_succeeded")
    traces = {note["key"]: note["trace"] for note in runs("traced")}
    assert traces == {"a": "7", "b": None, "c": "8"}
    # They outlast the function, for those who hear how it ended.
    ended = [note["trace"] for note in runs("heard") if note["signal"] == "task_succeeded"]
    assert ended == ["7", None, "8"]


def test_receivers_that_fail_in_a_worker_harm_nothing(start_pool, runs):
    pool = start_pool("-c", 1, TASKQ_TEST_RECEIVERS="fail")
    tasks.quick.delay("a")
    tasks.exit_hard.delay("b", 3)
    wait_until(lambda: runs("end", "a"))
    wait_until(lambda: Task.objects.failed().exists())
    pool.wait_ready(1)  # one that never started does not say that it stops
    assert pool.stop() == 0
    assert set(Task.objects.values_list("name", flat=True)) == {tasks.exit_hard.name}
    for name in ("task_started", "task_succeeded", "task_lost", "worker_stopped"):
        pool.wait_for_log(f"no good: {name}")


def test_within_a_test_run_all_sends_the_same(listen):
    heard = []

    def hear(signal, request, **fields):
        heard.append((signal, request.headers, receivers.trace.get()))
        receivers.trace.set("of this run")

    for each in (signals.task_started, signals.task_succeeded, signals.task_failed):
        listen(each, hear)
    tasks.trace.apply_async(("a",), headers={"n": 1})
    tasks.fail.delay("b")
    run_all(propagate=False)
    assert heard == [
        (signals.task_started, {"n": 1}, None),
        (signals.task_succeeded, {"n": 1}, "of this run"),
        (signals.task_started, {}, None),
        (signals.task_failed, {}, "of this run"),
    ]
