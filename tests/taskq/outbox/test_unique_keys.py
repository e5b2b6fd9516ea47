"""Unique tasks: which calls have the same key and are one task, by whatever door they come."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from taskq.models import State, Task
from taskq.outbox import enqueue
from taskq.sql.postgresql import claims
from taskq.task.payload import PayloadError
from tests.project.lab import tasks as lab
from tests.taskq.unique_tasks import define, pk

pytestmark = pytest.mark.usefixtures("registered")


def refresh(context, customer):
    """Django's tasks are functions of a module."""


# The key


@pytest.mark.django_db
def test_calls_with_the_same_arguments_are_one_task_however_they_are_passed():
    task = define(unique="args")
    first = pk(task.delay(5))
    assert (
        pk(task.delay(order=5)) == pk(task.delay(5, 1)) == pk(task.delay(5, force=False)) == first
    )
    others = {pk(task.delay(*args)) for args in [(6,), (5, 2), ("5",), (5.0,), (None,)]}
    assert len(others | {first}) == Task.objects.count() == 6


@pytest.mark.django_db
def test_keys_of_arguments_are_the_same_in_every_process():
    task = define(unique="args")
    first = pk(task.delay({"b": [1, {"x": None}], "a": 2}))
    assert pk(task.delay({"a": 2, "b": [1, {"x": None}]})) == first
    assert Task.objects.get().unique_key == "72c4cee20fd6599711383e6dc57bf849"


@pytest.mark.django_db
def test_the_task_itself_and_djangos_context_are_no_part_of_the_key():
    bound = define(lambda self, order: None, unique="order-{order}", bind=True)
    bound.delay(7)
    assert Task.objects.get().unique_key == "order-7"


@pytest.mark.django_db
def test_a_task_that_takes_itself_among_its_arguments_has_keys_too():
    bound = define(lambda *args: None, unique="args", bind=True)
    assert pk(bound.delay(7)) == pk(bound.delay(7)) != pk(bound.delay(8))


@pytest.mark.django_db
def test_a_task_that_has_no_room_for_itself_has_no_key():
    with pytest.raises(TypeError, match="takes no argument, and is to be given one"):
        define(lambda: None, unique="args", bind=True).delay()


@pytest.mark.django_db
def test_a_format_of_the_arguments_is_a_key():
    task = define(unique="order-{order}-{lines:03}")
    first = pk(task.delay(5))
    assert pk(task.delay(5, force=True)) == first
    assert Task.objects.get().unique_key == "order-5-001"


@pytest.mark.django_db
def test_a_function_of_the_arguments_is_a_key_and_none_is_none():
    task = define(unique=lambda order, **rest: f"o{order}" if order else None)
    assert pk(task.delay(5)) == pk(task.delay(5, lines=3))
    assert pk(task.delay(0)) != pk(task.delay(0))
    assert Task.objects.count() == 3


@pytest.mark.django_db
def test_a_call_can_bring_its_own_key():
    plain, other = define(), lab.quick
    first = pk(plain.apply_async((1,), unique_key="k"))
    assert pk(plain.apply_async((2,), unique_key="k")) == first
    assert pk(plain.s(3).set(unique_key="k").delay()) == first
    assert pk(other.apply_async((1,), unique_key="k")) != first, "keys are those of a name"
    assert pk(plain.delay(1)) != first
    assert pk(define(unique="args").apply_async((1,), unique_key="k")) == first


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("unique", "args", "error", "text"),
    [
        ("args", (), TypeError, "unique.call: missing a required argument: 'order'"),
        ("args", (object(),), PayloadError, "is of type object"),
        ("{nobody}", (1,), ValueError, "unique is '{nobody}', which makes no key .* KeyError"),
        ("{order.x}", (1,), ValueError, "AttributeError"),
        ("{order:d}", ("a",), ValueError, "ValueError"),
        ("{order}", ("",), ValueError, "the unique key of unique.call is '': give 1 to 255"),
        ("{order}", ("x" * 256,), ValueError, "give 1 to 255"),
        (lambda order: 5, (1,), TypeError, "the unique key of unique.call is 5: give a str"),
    ],
)
def test_what_gives_no_key_is_refused(unique, args, error, text):
    task = define(unique=unique)
    with pytest.raises(error, match=text):
        task.delay(*args)
    with pytest.raises(error, match=text):
        task.delay_many([args])
    assert not Task.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(("key", "error"), [("", ValueError), (5, TypeError), ("\0", ValueError)])
def test_a_key_of_ones_own_must_be_one(key, error):
    with pytest.raises(error, match="unique_key is"):
        define().apply_async((1,), unique_key=key)


# Many at once


@pytest.mark.django_db(transaction=True)
def test_of_many_calls_those_with_one_key_are_one_task(monkeypatch):
    monkeypatch.setattr(enqueue, "STATEMENT", 33)
    task = define(unique=lambda order: f"o{order}" if order else None)
    known = [pk(task.delay(3)), pk(task.delay(8))]
    calls = [9, 3, 0, 9, 1, 8, 0, 3, 2, 0, 7, 1]
    ids = [pk(result) for result in task.delay_many([(each,) for each in calls])]
    by_order = {}
    for order, id in zip(calls, ids, strict=True):
        by_order.setdefault(order, set()).add(id)
    assert {order: len(found) for order, found in by_order.items()} == {
        9: 1, 3: 1, 0: 3, 1: 1, 8: 1, 2: 1, 7: 1,
    }  # fmt: skip
    assert (by_order[3], by_order[8]) == ({known[0]}, {known[1]})
    payloads = dict(Task.objects.values_list("pk", "payload"))
    assert [payloads[id] for id in ids] == [f"[[{each}],{{}}]" for each in calls]
    assert len(payloads) == 2 + 4 + 3


@pytest.mark.django_db(transaction=True)
def test_many_are_all_or_none():
    task = define(unique="args")
    with pytest.raises(TypeError, match=r"calls\[1\]: unique.call: missing"):
        task.delay_many([(1,), {}])
    assert not Task.objects.exists()


# Other doors


@pytest.mark.django_db
@pytest.mark.skipif(not apps.is_installed("tests.project.native"), reason="no Django tasks")
def test_tasks_of_djangos_are_unique_by_our_decorator():
    from taskq.django import task

    unique = task(refresh, takes_context=True, unique="customer-{customer}")
    first = unique.enqueue(7)
    assert unique.enqueue(customer=7).id == first.id
    assert Task.objects.get().unique_key == "customer-7"
    ids = [result.id for result in unique.enqueue_many([(8,), (7,), {"customer": 8}])]
    assert ids[1] == first.id
    assert ids[0] == ids[2] != first.id


@pytest.mark.django_db
@pytest.mark.skipif(not apps.is_installed("tests.project.native"), reason="no Django tasks")
def test_djangos_signal_is_sent_for_new_tasks_only(announced):
    from taskq.django import task

    unique = task(refresh, takes_context=True, unique="customer-{customer}")
    first = unique.enqueue(7)
    unique.enqueue(7)
    new, *_ = unique.enqueue_many([(8,), (7,), {"customer": 8}])
    assert [result.id for _, result in announced] == [first.id, new.id]


@pytest.mark.django_db
def test_eager_runs_each_call(settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    ran = []
    task = define(lambda order: ran.append(order), unique=lambda order: "k" if order else 5)
    task.delay(1)
    task.delay(1)
    task.delay_many([(1,), (1,)])
    assert ran == [1, 1, 1, 1]
    with pytest.raises(TypeError, match="the unique key"):
        task.delay(0)
    with pytest.raises(TypeError, match=r"calls\[1\]: the unique key"):
        task.delay_many([(1,), (0,)])
    with pytest.raises(ValueError, match="idempotency_key is ''"):
        task.apply_async((1,), idempotency_key="")
    assert ran == [1, 1, 1, 1]


@pytest.mark.django_db
def test_a_row_typed_by_hand_obeys_the_index():
    fields = {"name": "x", "unique_key": "k", "unique_until": "start", "unique_place": 0}
    Task.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Task.objects.create(**fields)
    Task.objects.create(**fields, state=State.FAILED)


def test_the_default_is_a_task_like_any_other(django_assert_num_queries, transactional_db):
    with django_assert_num_queries(1):
        lab.quick.delay(1)
    task = Task.objects.get()
    assert (task.unique_key, task.unique_until, task.unique_place) == (None, None, None)


# Statements


@pytest.mark.postgresql
@pytest.mark.parametrize("statistics", ["new", "old"])
def test_keys_are_found_by_their_index_whatever_waits(transactional_db, statistics):
    from taskq.sql.postgresql import unique as postgresql_unique
    from tests.taskq.sql.plans import explain, indexes

    statement = (
        "INSERT INTO taskq_task (name, unique_key, unique_until, unique_place, execute_at) "
        "SELECT 'x', CASE WHEN n %% 2 = 0 THEN 'k' || n END, 'start', 0, "
        "now() - interval '1 second' * %s FROM generate_series(%s, %s) n"
    )
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE taskq_task")
        cursor.execute("REINDEX TABLE taskq_task")  # made while it was empty, as by a migration
        cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'taskq_task'::regclass")
        cursor.execute(statement, [0, 1, 5000])
        if statistics == "new":
            cursor.execute("VACUUM ANALYZE taskq_task")
    raw = connection.connection
    values = {"name": "x", "keys": ["k6"], "places": [0, 1], "overdue": 10.0}
    for statement in (postgresql_unique.JOIN, postgresql_unique.LOOK):
        nodes, pages = explain(raw, statement, values)
        assert indexes(nodes) - {"taskq_worker_listens"} == {"taskq_task_unique"}
        assert pages < 60
    nodes, pages = explain(raw, postgresql_unique.DROP_EXPIRED, values)
    assert indexes(nodes) == {"taskq_task_unique", "taskq_task_pkey"}
    assert pages < 60
    lanes, _ = explain(raw, claims.LANES, {"queues": None})
    assert "taskq_task_unique" not in indexes(lanes)


@pytest.mark.sqlite
@pytest.mark.django_db
def test_on_sqlite_too():
    from taskq.sql.sqlite import unique as sqlite_unique

    with connection.cursor() as cursor:
        values = {"name": "x", "keys": '["a"]'}
        for statement in (sqlite_unique.JOIN, sqlite_unique.DROP_EXPIRED):
            cursor.execute("EXPLAIN QUERY PLAN " + statement, values)
            plan = " ".join(str(row) for row in cursor.fetchall())
            assert (
                "SEARCH taskq_task USING INDEX taskq_task_unique (name=? AND unique_key=?)" in plan
            )
