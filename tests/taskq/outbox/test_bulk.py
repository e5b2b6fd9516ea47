"""Sending many tasks by one call."""

from __future__ import annotations

import datetime
import json
import uuid

import psycopg
import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from stress.project.shop.models import Order
from taskq.celery import AsyncResult, EagerResult, shared_task
from taskq.models import Task, Worker
from taskq.outbox import enqueue
from taskq.task import payload, registry
from taskq.task.options import TaskOptions
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.django_db


def payloads():
    return list(Task.objects.order_by("id").values_list("payload", flat=True))


@pytest.mark.usefixtures("registered")
def test_each_call_is_a_task_with_its_arguments():
    @shared_task
    def work(*args, **kwargs):
        pass

    work.delay_many([("a",), ["b"], {"key": "c"}, (), {}, (1, [2]), {"x": {"y": None}}])
    assert payloads() == [
        '[["a"],{}]',
        '[["b"],{}]',
        '[[],{"key":"c"}]',
        "[[],{}]",
        "[[],{}]",
        "[[1,[2]],{}]",
        '[[],{"x":{"y":null}}]',
    ]
    assert set(Task.objects.values_list("name", flat=True)) == {work.name}


def test_results_come_in_the_order_of_the_calls():
    results = lab.quick.delay_many((number,) for number in range(5_000))
    assert all(type(result) is AsyncResult for result in results)
    written = dict(Task.objects.values_list("pk", "payload"))
    assert [written[result.id.int] for result in results] == [
        f"[[{number}],{{}}]" for number in range(5_000)
    ]
    assert results[7].revoke()
    assert not Task.objects.filter(pk=results[7].id.int).exists()


def test_tasks_are_as_if_they_had_been_sent_one_by_one():
    @shared_task(name="bulk.send", queue="mail", priority=7, on_lost="fail")
    def send(number):
        pass

    try:
        one, many = send.delay(1), send.delay_many([(1,)])[0]
        columns = [
            field.attname
            for field in Task._meta.concrete_fields
            if field.attname not in ("id", "created_at", "execute_at")
        ]
        rows = Task.objects.in_bulk()
        one, many = rows[one.id.int], rows[many.id.int]
        assert {c: getattr(one, c) for c in columns} == {c: getattr(many, c) for c in columns}
        assert many.execute_at == many.created_at
        assert (many.queue, many.priority, many.max_losses) == ("mail", 7, 0)
    finally:
        registry._definitions.pop("bulk.send")


def test_terms_are_those_of_all():
    eta = datetime.datetime(2030, 7, 1, 12, 30, tzinfo=datetime.UTC)
    lab.quick.delay_many(
        [("a",), ("b",)], eta=eta, expires=3600, queue="mail", priority=-9, using="default"
    )
    for task in Task.objects.all():
        assert (task.execute_at, task.queue, task.priority) == (eta, "mail", -9)
        assert task.expires_at - task.created_at == datetime.timedelta(hours=1)
    Task.objects.all().delete()
    lab.quick.delay_many([("a",)], countdown=1.5, expires=eta)
    task = Task.objects.get()
    assert task.execute_at - task.created_at == datetime.timedelta(seconds=1.5)
    assert task.expires_at == eta


@pytest.mark.parametrize("calls", [[], (), {}, iter([])])
def test_no_calls_are_no_statement(calls, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert lab.quick.delay_many(calls) == []


def test_many_are_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        lab.quick.delay_many([("a",)] * 1_000)
    assert Task.objects.count() == 1_000


def test_outbox_returns_primary_keys():
    ids, _ = enqueue.enqueue_many("some.task", [([1], {}), ((), {"b": 2})], TaskOptions())
    assert payloads() == ["[[1],{}]", '[[],{"b":2}]']
    assert ids == list(Task.objects.order_by("id").values_list("pk", flat=True))


def test_arguments_are_stored_as_they_are():
    text = 'it\'s 100% \\ "quoted" \0 %s %(name)s \ud800 é 🎈 $1 ?\n'
    values = [text, {"$taskq": "mine"}, datetime.date(2030, 1, 2), uuid.UUID(int=5), -0.0]
    results = lab.quick.delay_many([(value,) for value in values])
    stored = Task.objects.in_bulk()
    back = [payload.decode(stored[result.id.int].payload) for result in results]
    assert back == [([value], {}) for value in values]


def test_pickled_arguments_can_be_many(settings):
    settings.TASKQ = {"SERIALIZER": "pickle"}
    lab.quick.delay_many([({1, 2},), {"key": {3}}])
    back = [payload.decode(text, lab.quick.name) for text in payloads()]
    assert back == [([{1, 2}], {}), ([], {"key": {3}})]


# The transaction


@pytest.mark.django_db(transaction=True)
def test_all_commit_with_the_transaction_or_none():
    with transaction.atomic():
        Order.objects.create(number=1)
        lab.quick.delay_many([("a",), ("b",)])
        transaction.set_rollback(True)
    assert (Order.objects.count(), Task.objects.count()) == (0, 0)
    with transaction.atomic():
        Order.objects.create(number=1)
        lab.quick.delay_many([("a",), ("b",)])
    assert (Order.objects.count(), Task.objects.count()) == (1, 2)


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_they_are_committed_at_once():
    lab.quick.delay_many([("a",), ("b",)])
    assert not connection.in_atomic_block
    connection.close()
    assert Task.objects.count() == 2


def test_they_are_refused_in_a_transaction_that_is_broken():
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            lab.quick.delay_many([("a",)])


@pytest.fixture
def small_statements(monkeypatch):
    monkeypatch.setattr(enqueue, "STATEMENT", 33)


def test_more_than_one_statement_should_carry_goes_in_several(
    small_statements, django_assert_num_queries
):
    """Three calls of eleven characters each, so 3 + 3 + 1; a long one goes alone."""
    calls = [(f"{number:02}",) for number in range(7)]
    with transaction.atomic(), django_assert_num_queries(3 + 2):  # in a savepoint
        results = lab.quick.delay_many(calls)
    assert [json.loads(text)[0] for text in payloads()] == [list(call) for call in calls]
    assert [result.id.int for result in results] == sorted(result.id.int for result in results)
    Task.objects.all().delete()
    lab.quick.delay_many([("a",), ("x" * 100,), ("b",)])
    assert len(payloads()) == 3


@pytest.mark.django_db(transaction=True)
def test_several_statements_are_all_or_none(small_statements, monkeypatch):
    """The second one breaks."""
    done = []

    def execute(run, statement, values, many, context):
        done.append("taskq_task" in statement)
        if sum(done) == 2:
            raise KeyError
        return run(statement, values, many, context)

    with connection.execute_wrapper(execute), pytest.raises(KeyError):
        lab.quick.delay_many([("aa",)] * 7)
    assert sum(done) == 2
    assert Task.objects.count() == 0


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("option", ["server_side_binding", "prepare_threshold"])
def test_whatever_way_django_binds_its_parameters(monkeypatch, option):
    monkeypatch.setitem(
        connection.settings_dict, "OPTIONS", {**connection.settings_dict["OPTIONS"], option: 1}
    )
    connection.close()
    with transaction.atomic():
        lab.quick.delay_many([("a",), ("b",)])
    for _ in range(5):
        lab.quick.delay_many([("c",)], countdown=5)
        lab.quick.delay("d")
    connection.close()
    assert Task.objects.count() == 12


# Waking


@pytest.fixture
def ear(database_url):
    """How many wake-ups came since it was asked last: what precedes one of our own."""

    def heard():
        with connection.cursor() as cursor:
            cursor.execute("NOTIFY taskq, 'that is all'")
        for count, each in enumerate(listener.notifies(timeout=60)):
            if each.payload == "that is all":
                return count
        raise AssertionError("not even our own came")

    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN taskq")
        yield heard


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_sleeping_pool_is_woken_once_and_a_busy_one_not_at_all(ear):
    pool = Worker.objects.create(
        pool="p", host="h", name="keeper", pid=1, lease_expires_at=timezone.now(), listens=True
    )
    lab.quick.delay_many([("a",)] * 100)
    assert ear() == 1
    lab.quick.delay_many([])
    pool.listens = False
    pool.save()
    lab.quick.delay_many([("a",)] * 100)
    assert ear() == 0


# Eager


def test_eager_runs_each_at_once(settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    ran = []

    @shared_task(name="bulk.eager")
    def add(a, b=0):
        ran.append(a + b)
        return a + b

    try:
        results = add.delay_many([(1, 2), {"a": 5}, (7,)])
        assert all(type(result) is EagerResult for result in results)
        assert [result.get() for result in results] == ran == [3, 5, 7]
        with pytest.raises(TypeError, match=r"calls\[1\]"):
            add.delay_many([(1,), 2])
        assert ran == [3, 5, 7], "none runs when one is wrong, as none is sent"
    finally:
        registry._definitions.pop("bulk.eager")
    assert not Task.objects.exists()
