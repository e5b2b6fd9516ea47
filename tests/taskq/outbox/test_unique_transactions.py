"""Unique tasks: what a call that joins another may rely on. The transactions are real ones."""

from __future__ import annotations

import datetime
import threading
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction
from django.db.models.functions import Now

from stress.rig.pools import wait_until
from taskq.models import State, Task
from taskq.outbox import enqueue, unique
from taskq.store import endings
from taskq.task.queues import Queues
from tests.taskq.conftest import waits_for_a_lock
from tests.taskq.unique_tasks import define, failed, pk

pytestmark = pytest.mark.usefixtures("registered")


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
    assert worker.db.end(worker.id, [endings.finish(run.run)]) == {first}
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
        worker.db.end(worker.id, [endings.finish(worker.claim_one().run)])

    before = "SELECT id, unique_key"
    with meanwhile(end, before=before):
        assert pk(task.delay(1)) != first
    assert Task.objects.count() == 1


@pytest.mark.postgresql
@pytest.mark.parametrize("others", [0, 2])
def test_what_is_claimed_while_a_call_would_join_it_is_not_held_up(worker, connect, call, others):
    """PostgreSQL waits for the claim, sees that this is no task to join, and keeps its lock."""
    task = define(unique="args")
    first = pk(task.delay(0))
    waiting = {pk(task.delay(n + 1)) for n in range(others)}
    claimer, claimed, in_flight = connect(), [], threading.Event()

    def claim():
        try:
            with claimer.connection.transaction():
                lane = claimer.lanes(Queues())[0]
                claimed.extend(claimer.claim(worker.id, lane, 1, []))
                in_flight.set()
                wait_until(waits_for_a_lock, what="the call waits for the claim")
        finally:
            connections.close_all()

    def begin_to_claim():
        threading.Thread(target=claim, daemon=True).start()
        assert in_flight.wait(60)

    def calls():
        with meanwhile(begin_to_claim, before="FOR KEY SHARE"):
            return task.delay_many([(n,) for n in range(others + 1)])[0]

    caller = call(calls)
    assert [each.id for each in claimed] == [first]
    with worker.db.connection.transaction():
        worker.db.connection.count("SET LOCAL lock_timeout = '2s'", {})
        assert worker.db.end(worker.id, map(endings.finish, [claimed[0].run])) == {first}
    assert worker.claim(10, (task.name,)) == [], "the others are joined, and held"
    again = caller.end()
    assert again not in {first, *waiting}
    assert {each.id for each in worker.claim(10, (task.name,))} == {again, *waiting}


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
    thread.join(60)
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


@pytest.mark.postgresql
def test_many_take_their_keys_in_one_order_whatever_theirs_is(call, monkeypatch):
    """Else these two would wait for each other: 5, then 9; and 9, then 5."""
    monkeypatch.setattr(enqueue, "STATEMENT", 1)
    task = define(unique="order-{order}")
    begun, go_on = threading.Event(), threading.Event()

    def one_by_one():
        task.delay(5)
        begun.set()
        go_on.wait(60)
        return task.delay(9)

    one = call(one_by_one, waits=begun.is_set)
    many = call(lambda: task.delay_many([(9,), (5,)])[0], waits=True)
    go_on.set()
    assert one.called.wait(60), one.error
    assert one.end() == many.end()
    assert Task.objects.count() == 2


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


@pytest.mark.postgresql
def test_what_expired_while_it_was_joined_holds_nobody_up(call, worker):
    """Two who have joined it and call again would else wait for each other."""
    task = define(unique="args")
    first = pk(task.delay(1))
    one, two = call(lambda: task.delay(1)), call(lambda: task.delay(1))
    Task.objects.filter(pk=first).update(expires_at=Now() - datetime.timedelta(seconds=1))
    third = pk(task.delay(1))
    assert third != first
    assert pk(task.delay(1)) == third
    assert one.end() == two.end() == first
    assert worker.claim_one().id == first, "to be dropped"
    assert worker.claim_one().id == third


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
