"""Unique tasks: which calls are one task, when a key is free again, and what a call that
joins another may rely on. The transactions are real ones."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, connections, transaction

from stress.pools import wait_until
from stress.project.shop.models import Order
from taskq import outbox, registry, unique
from taskq.celery import shared_task
from taskq.ear import MANY_WAKES
from taskq.models import State, Task
from taskq.payload import PayloadError
from taskq.sql import postgresql
from tests.project.lab import tasks as lab
from tests.taskq.conftest import waits_for_a_lock
from tests.taskq.test_waking import asleep, ring


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    """What a test defines is gone after it."""
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


def define(function=None, **options):
    def call(order, lines=1, *, force=False):
        pass

    return shared_task(name="unique.call", **options)(function or call)


def refresh(context, customer):
    """Django's tasks are functions of a module."""


def pk(result):
    return result.id.int


def again(task, *args):
    """Its id is that of a new task."""
    known = set(Task.objects.values_list("pk", flat=True))
    return pk(task.delay(*args)) not in known


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


# When a key is free again


@pytest.mark.django_db(transaction=True)
def test_released_on_start_the_key_is_free_once_the_task_is_claimed(worker):
    task = define(unique="args")
    assert again(task, 1)
    assert not again(task, 1)
    worker.claim_one()
    assert again(task, 1), "the one that runs may not see what this call has changed"
    assert not again(task, 1)


@pytest.mark.django_db(transaction=True)
def test_released_on_finish_the_key_is_held_until_the_task_is_gone(worker):
    task = define(unique="args", unique_until="finish")
    first = pk(task.delay(1))
    run = worker.claim_one()
    assert pk(task.delay(1)) == first
    assert worker.db.retry(worker.id, run.run, when=None, delay=0, error="", traceback="")
    assert pk(task.delay(1)) == first
    run = worker.claim_one()
    worker.db.finish(worker.id, [run.run])
    assert again(task, 1)


@pytest.mark.django_db(transaction=True)
def test_what_failed_holds_no_key(worker):
    task = define(unique="args", unique_until="finish")
    task.delay(1)
    worker.db.fail(worker.id, worker.claim_one().run, error="", traceback="")
    assert again(task, 1)


@pytest.mark.django_db
def test_what_is_revoked_or_discarded_holds_no_key():
    task = define(unique="args")
    task.delay(1).revoke()
    assert again(task, 1)
    Task.objects.all().discard()
    assert again(task, 1)


GO_BACK = {
    "retry": lambda db, worker, run: db.retry(
        worker, run, when=None, delay=0, error="", traceback=""
    ),
    "give back": lambda db, worker, run: db.give_back(worker, [run]),
    "defer": lambda db, worker, run: db.defer(worker, run, 0.0),
    "loss": lambda db, worker, run: db.workers.retire(
        worker, ran=run[0], charge=True, cause="killed"
    ),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", GO_BACK)
def test_a_task_goes_back_beside_the_one_that_took_its_key(worker, new_worker, how):
    task = define(unique="args")
    first = pk(task.delay(1))
    run = worker.claim_one()
    second = pk(task.delay(1))
    assert GO_BACK[how](worker.db, worker.id, run.run)
    assert set(Task.objects.filter(state=State.READY).values_list("pk", flat=True)) == {
        first,
        second,
    }
    assert pk(task.delay(1)) == second
    other = new_worker()
    assert {other.claim_one().id, other.claim_one().id} == {first, second}


# Retried by a person


def failed(task, worker, *args):
    id = pk(task.delay(*args))
    worker.db.fail(worker.id, worker.claim_one().run, error="", traceback="")
    return id


@pytest.mark.django_db(transaction=True)
def test_a_person_retries_no_failed_task_whose_key_is_held(worker):
    task = define(unique="args", unique_until="finish")
    first, other = failed(task, worker, 1), failed(task, worker, 2)
    held = pk(task.delay(1))
    assert Task.objects.all().retry() == 1
    assert Task.objects.get(pk=other).state == State.READY
    assert Task.objects.get(pk=first).state == State.FAILED
    Task.objects.filter(pk=held).discard()
    assert Task.objects.all().retry() == 1


@pytest.mark.django_db(transaction=True)
def test_of_failed_tasks_with_one_key_a_person_retries_the_last(worker):
    task = define(unique="args", unique_until="finish")
    ids = [failed(task, worker, 1) for _ in range(3)]
    assert Task.objects.filter(pk__in=ids[:2]).retry() == 1, "the third was not chosen"
    assert Task.objects.get(state=State.READY).pk == ids[1]
    Task.objects.filter(state=State.READY).discard()
    assert Task.objects.all().retry() == 1
    assert Task.objects.get(state=State.READY).pk == ids[2]


@pytest.mark.django_db(transaction=True)
def test_what_was_released_on_start_is_retried_whoever_has_the_key(worker):
    task = define(unique="args")
    failed(task, worker, 1)
    task.delay(1)
    assert Task.objects.all().retry() == 1


# Transactions


@pytest.mark.postgresql
def test_a_task_starts_after_the_commit_of_all_who_joined_it(call, worker):
    task = define(unique="args")
    first = pk(task.delay(1))
    one, two = call(lambda: task.delay(1)), call(lambda: task.delay(1), rollback=True)
    assert worker.claim() == []
    assert one.end() == first
    assert worker.claim() == [], "the other's transaction is open"
    assert two.end() == first
    assert worker.claim_one().id == first


@pytest.mark.postgresql
def test_others_in_the_lane_do_not_wait_for_it(call, worker):
    task = define(unique="args")
    task.delay(1)
    other = pk(task.delay(2))
    call(lambda: task.delay(1))
    assert worker.claim_one().id == other


@pytest.mark.postgresql
def test_who_joins_a_task_that_runs_does_not_hold_up_its_end(call, worker):
    task = define(unique="args", unique_until="finish")
    first = pk(task.delay(1))
    run = worker.claim_one()
    joined = call(lambda: task.delay(1))
    assert worker.db.finish(worker.id, [run.run]) == {first}
    assert joined.end() == first


@pytest.mark.postgresql
def test_a_call_waits_for_another_that_has_not_committed_and_joins_it(call):
    task = define(unique="args")
    first = call(lambda: task.delay(1))
    second = call(lambda: task.delay(1), waits=True)
    assert not second.called.is_set()
    assert first.end() == second.end()
    assert Task.objects.count() == 1


@pytest.mark.postgresql
def test_where_the_other_rolls_back_the_task_is_written(call):
    task = define(unique="args")
    first = call(lambda: task.delay(1), rollback=True)
    second = call(lambda: task.delay(1), waits=True)
    assert first.end() != second.end()
    assert Task.objects.get().pk == second.id


@contextmanager
def meanwhile(event, *, before):
    """Do something right before the first statement of a kind."""
    done = []

    def execute(run, statement, values, many, context):
        if before in statement and not done:
            done.append(True)
            event()
        return run(statement, values, many, context)

    with connection.execute_wrapper(execute):
        yield
    assert done


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("until", ["start", "finish"])
def test_a_task_that_ends_while_a_call_would_join_it_is_not_joined(worker, until):
    task = define(unique="args", unique_until=until)
    first = pk(task.delay(1))

    def end():
        worker.db.finish(worker.id, [worker.claim_one().run])

    before = "SELECT id, unique_key"
    with meanwhile(end, before=before):
        assert pk(task.delay(1)) != first
    assert Task.objects.count() == 1


@pytest.mark.postgresql
def test_a_retry_by_a_person_that_meets_a_call_leaves_its_task_alone(call, worker):
    task = define(unique="args", unique_until="finish")
    first = failed(task, worker, 1)
    caller = call(lambda: task.delay(1))
    retried = []

    def retry():
        retried.append(Task.objects.all().retry())
        connections.close_all()

    thread = threading.Thread(target=retry)
    thread.start()
    wait_until(waits_for_a_lock, what="the retry waits for the call")
    caller.end()
    thread.join(10)
    assert retried == [0]
    assert Task.objects.get(pk=first).state == State.FAILED


@pytest.mark.django_db(transaction=True)
def test_what_rolls_back_leaves_no_task_and_no_lock(worker):
    task = define(unique="args")
    with transaction.atomic():
        task.delay(1)
        transaction.set_rollback(True)
    assert not Task.objects.exists()
    first = pk(task.delay(1))
    with transaction.atomic():
        with transaction.atomic():
            assert pk(task.delay(1)) == first
            transaction.set_rollback(True)
        if connection.vendor == "postgresql":
            assert worker.claim_one().id == first
    assert pk(task.delay(2)) != first


# Overdue


def overdue(seconds=3600):
    interval = {
        "postgresql": "execute_at = execute_at - %s * interval '1 second'",
        "sqlite": "execute_at = datetime(execute_at, '-' || %s || ' seconds')",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE taskq_task SET {interval}", [seconds])


@pytest.mark.postgresql
def test_a_task_that_calls_keep_from_starting_is_joined_no_more(call, worker):
    """With calls whose transactions overlap for ever, it would never start."""
    task = define(unique="args")
    first = pk(task.delay(1))
    callers = [call(lambda: task.delay(1))]
    overdue(unique.PATIENCE + 1)
    second = pk(task.delay(1))
    assert second != first
    callers.append(call(lambda: task.delay(1)))
    assert callers[1].id == second
    assert callers[0].end() == first
    assert worker.claim_one().id == first
    assert worker.claim() == []


@pytest.mark.postgresql
def test_no_more_than_two_wait_however_long_the_backlog(call, worker):
    task = define(unique="args")
    first = pk(task.delay(1))
    overdue()
    second = pk(task.delay(1))
    overdue()
    for _ in range(3):
        assert pk(task.delay(1)) == first
    joined = call(lambda: task.delay(1))
    assert Task.objects.count() == 2
    assert worker.claim_one().id == second, "only the one that was joined is held"
    assert joined.end() == first
    assert worker.claim_one().id == first


@pytest.mark.django_db
def test_no_second_one_waits_where_two_must_not_run_at_once():
    task = define(unique="args", unique_until="finish")
    first = pk(task.delay(1))
    overdue()
    assert pk(task.delay(1)) == first


@pytest.mark.sqlite
@pytest.mark.django_db
def test_on_sqlite_no_second_one_is_needed():
    task = define(unique="args")
    first = pk(task.delay(1))
    overdue()
    assert pk(task.delay(1)) == first


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("late", [0, 3600])
def test_where_the_option_was_another_one_before_all_is_well(worker, late):
    kept = define(unique="args", unique_until="finish")
    first = pk(kept.delay(1))
    worker.claim_one()
    changed = define(unique="args")
    second = pk(changed.delay(1))
    if connection.vendor == "postgresql":
        assert second != first, "the first one runs, and may not see what this call has changed"
        overdue(late)
        assert pk(changed.delay(1)) == second
    assert pk(kept.delay(1)) == first


# Many at once


@pytest.mark.django_db(transaction=True)
def test_of_many_calls_those_with_one_key_are_one_task(monkeypatch):
    monkeypatch.setattr(outbox, "STATEMENT", 33)
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


@pytest.mark.postgresql
def test_many_take_their_keys_in_one_order_whatever_theirs_is(call, monkeypatch):
    """Else these two would wait for each other: 5, then 9; and 9, then 5."""
    monkeypatch.setattr(outbox, "STATEMENT", 1)
    task = define(unique="order-{order}")
    begun, go_on = threading.Event(), threading.Event()

    def one_by_one():
        task.delay(5)
        begun.set()
        go_on.wait(10)
        return task.delay(9)

    one = call(one_by_one, waits=begun.is_set)
    many = call(lambda: task.delay_many([(9,), (5,)])[0], waits=True)
    go_on.set()
    assert one.called.wait(10), one.error
    assert one.end() == many.end()
    assert Task.objects.count() == 2


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
    from taskq.sql import postgresql_keys
    from tests.taskq.test_plans import explain, indexes

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
    for statement in (postgresql_keys.JOIN, postgresql_keys.LOOK):
        nodes, pages = explain(raw, statement, values)
        assert indexes(nodes) - {"taskq_worker_listens"} == {"taskq_task_unique"}
        assert pages < 60
    lanes, _ = explain(raw, postgresql.LANES, {"queues": None})
    assert "taskq_task_unique" not in indexes(lanes)


@pytest.mark.sqlite
@pytest.mark.django_db
def test_on_sqlite_too():
    from taskq.sql import sqlite_keys

    with connection.cursor() as cursor:
        values = {"name": "x", "keys": '["a"]'}
        cursor.execute("EXPLAIN QUERY PLAN " + sqlite_keys.JOIN, values)
        plan = " ".join(str(row) for row in cursor.fetchall())
    assert "SEARCH taskq_task USING INDEX taskq_task_unique (name=? AND unique_key=?)" in plan


# With a pool


def storm(threads, call, seconds):
    """Call again and again from so many threads, each in its own transactions."""
    until = time.monotonic() + seconds

    def one(number):
        try:
            while time.monotonic() < until:
                call(number)
        finally:
            connections.close_all()

    running = [threading.Thread(target=one, args=[number]) for number in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()


def test_a_run_sees_what_all_have_committed_that_joined_it(start_pool, runs, drained):
    start_pool("-c", 2)
    numbers = iter(range(10**6))

    def order(number):
        with transaction.atomic():
            if number % 2:
                Order.objects.create(number=next(numbers))
                lab.count_orders.delay("a")
            else:
                # Before its change: the call is the first thing that it does.
                lab.count_orders.delay("a")
                Order.objects.create(number=next(numbers))
            time.sleep(0.002)
        time.sleep(0.01)

    storm(4, order, 1.5)
    drained()
    seen = runs("seen", "a")
    assert max(each["count"] for each in seen) == Order.objects.count() > len(seen) > 2


def test_no_two_of_a_key_run_at_once_that_is_released_on_finish(start_pool, runs, drained):
    start_pool("-c", 3)
    storm(3, lambda number: lab.solo.delay("a", 0.05) and time.sleep(0.005), 1.5)
    drained()
    records = sorted(runs(key="a"), key=lambda record: record["at"])
    assert [each["kind"] for each in records] == ["start", "end"] * (len(records) // 2)
    assert len(records) > 8


@pytest.mark.postgresql
def test_a_pool_that_cannot_claim_what_is_held_asks_for_wake_ups_and_not_all_the_time(
    start_pool, call, runs
):
    start_pool("-c", 2)
    wait_until(asleep)

    def crowd():
        lab.quick.delay(0)
        ring(MANY_WAKES)
        return not asleep()

    wait_until(crowd, what="the pool looks by itself, often")
    lab.count_orders.apply_async(("a",), countdown=0.1)
    caller = call(lambda: lab.count_orders.delay("a"))
    wait_until(asleep, seconds=5, what="it asks for wake-ups, although a task is due")
    assert Task.objects.pending().exists()
    assert not runs("seen")
    caller.end()
    wait_until(lambda: runs("seen"), seconds=5)
