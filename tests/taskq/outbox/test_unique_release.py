"""Unique tasks: when a key is free again, and which failed ones a person can retry."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.db.models.functions import Now

from stress.rig.pools import wait_until
from taskq.models import State, Task
from taskq.store import endings
from tests.taskq.unique_tasks import define, failed, pk

pytestmark = pytest.mark.usefixtures("registered")


#: It will have expired when it is due.
BOUND = {"countdown": 60, "expires": 30}


def again(task, *args):
    """Its id is that of a new task."""
    known = set(Task.objects.values_list("pk", flat=True))
    return pk(task.delay(*args)) not in known


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
    assert worker.db.end(
        worker.id, [endings.retry(run.run, when=None, delay=0, error="", traceback="")]
    )
    assert pk(task.delay(1)) == first
    run = worker.claim_one()
    worker.db.end(worker.id, [endings.finish(run.run)])
    assert again(task, 1)


@pytest.mark.django_db(transaction=True)
def test_what_failed_holds_no_key(worker):
    task = define(unique="args", unique_until="finish")
    task.delay(1)
    worker.db.end(worker.id, [endings.fail(worker.claim_one().run, error="", traceback="")])
    assert again(task, 1)


@pytest.mark.django_db
def test_what_is_revoked_or_discarded_holds_no_key():
    task = define(unique="args")
    task.delay(1).revoke()
    assert again(task, 1)
    Task.objects.all().discard()
    assert again(task, 1)


GO_BACK = {
    "retry": lambda db, worker, run: db.end(
        worker, [endings.retry(run, when=None, delay=0, error="", traceback="")]
    ),
    "give back": lambda db, worker, run: db.give_back(worker, [run]),
    "defer": lambda db, worker, run: db.defer(worker, run, 0.0),
    "loss": lambda db, worker, run: db.leases.retire(
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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("until", ["start", "finish"])
@pytest.mark.parametrize("terms", [{"expires": 0.001}, BOUND], ids=["has", "will"])
def test_what_has_expired_or_is_bound_to_is_joined_by_nobody(until, terms, caplog):
    task = define(unique="args", unique_until=until)
    corpse = pk(task.apply_async((1,), **terms))
    wait_until(lambda: again(task, 1))
    assert not again(task, 1)
    assert Task.objects.count() == 1
    assert f"#{corpse} expired before it was started" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_of_many_calls_each_finds_what_it_may_join():
    task = define(unique="args")
    corpse = pk(task.apply_async((1,), **BOUND))
    alive = pk(task.delay(2))
    ids = [result.id.int for result in task.delay_many([(1,), (2,), (3,), (1,)])]
    assert ids[0] == ids[3]
    assert ids[1] == alive
    assert len({corpse, *ids}) == 4
    assert set(Task.objects.values_list("pk", flat=True)) == set(ids)


@pytest.mark.django_db(transaction=True)
def test_what_a_call_dropped_is_there_again_if_that_is_rolled_back(caplog):
    task = define(unique="args")
    corpse = pk(task.apply_async((1,), **BOUND))
    with transaction.atomic():
        assert again(task, 1)
        transaction.set_rollback(True)
    assert Task.objects.get().pk == corpse
    assert "expired" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_expires_later_is_joined():
    task = define(unique="args")
    first = pk(task.apply_async((1,), expires=3600))
    assert pk(task.delay(1)) == first


@pytest.mark.django_db(transaction=True)
def test_a_task_that_had_expired_when_it_was_claimed_holds_no_key(worker):
    task = define(unique="args", unique_until="finish")
    task.apply_async((1,), expires=0.001)
    wait_until(lambda: Task.objects.filter(expires_at__lt=Now()).exists())
    assert worker.claim_one().expired
    assert again(task, 1)
