"""A task that would wait for another's result is refused, as all workers may come to do so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from stress.rig.pools import wait_until
from taskq.celery import AsyncResult, TaskFailed, allow_join_result, shared_task
from taskq.testing import run_all
from tests.project.lab import tasks as lab

pytestmark = [pytest.mark.usefixtures("registered"), pytest.mark.django_db]

REFUSED = "would wait for another's result: where every worker waits, none is left"


def outcome_of(wait, **options):
    """What comes of a task that calls this with a handle on another that is done."""
    other = lab.add.delay(1, 2)
    run_all()

    @shared_task(ignore_result=False, **options)
    def outer(id):
        return wait(AsyncResult(id))

    result = outer.delay(other.id)
    run_all(propagate=False)
    return result


@pytest.mark.parametrize(
    "wait",
    [
        lambda result: result.get(),
        lambda result: result.wait(timeout=1),
        lambda result: result.get(propagate=False),
        lambda result: ThreadPoolExecutor(1).submit(result.get, 1).result(),
    ],
    ids=["get", "wait", "propagate", "thread"],
)
def test_it_raises_at_once_as_in_celery(wait):
    with pytest.raises(TaskFailed, match=REFUSED) as caught:
        outcome_of(wait).get()
    assert "RuntimeError" in str(caught.value)


def test_what_waits_for_nothing_is_allowed():
    def look(result):
        return [result.ready(), result.status, result.result, result.maybe_throw()]

    assert outcome_of(look).get() == [True, "SUCCESS", 3, 3]


def test_it_can_be_allowed_by_argument_or_for_a_block():
    def by_block(result):
        with allow_join_result():
            return result.get()

    assert outcome_of(by_block).get() == 3
    assert outcome_of(lambda result: result.get(disable_sync_subtasks=False)).get() == 3
    assert outcome_of(lambda result: result.get(timeout=5, disable_sync_subtasks=False)).get() == 3
    with pytest.raises(TaskFailed, match=REFUSED):
        outcome_of(lambda result: by_block(result) and result.get()).get()


@pytest.mark.django_db(transaction=True)
def test_a_pool_of_one_worker_does_not_wait_for_itself(start_pool):
    start_pool("-c", 1)
    result = lab.wait_for_another.delay()
    wait_until(result.ready, what="it is refused")
    with pytest.raises(TaskFailed, match=REFUSED):
        result.get()
    result = lab.wait_for_another.delay(as_a_coroutine=True)
    wait_until(result.ready, what="it is refused")
    with pytest.raises(TaskFailed, match=REFUSED):
        result.get()
