"""Tasks that run into their time limits."""

import pytest

from pool import clock
from stress.rig.pools import wait_until
from taskq.exceptions import SoftTimeLimitExceeded
from taskq.models import Task
from taskq.task import calling, registry
from tests.conftest import SLACK
from tests.project.lab import limits, tasks
from tests.taskq.conftest import worker_of_no_pool


def test_soft_limit_raises_in_the_task_and_is_recorded(start_pool, runs, drained):
    pool = start_pool("-c", 1)
    sent = clock.now()
    limits.too_long.delay("a")
    drained()
    (warned,) = runs("warned", "a")
    assert 0.3 <= (warned["at"] - sent) / clock.SECOND < SLACK
    assert "SoftTimeLimitExceeded" in Task.objects.failed().get().error
    assert "died" not in pool.log()


@pytest.mark.sqlite  # to run it on one is enough
def test_soft_limit_cancels_a_coroutine(start_pool, runs, drained):
    start_pool("-c", 1)
    limits.doze_too_long.delay("a")
    drained()
    assert runs("raised", "a")[0]["error"] == "CancelledError"
    assert "SoftTimeLimitExceeded" in Task.objects.failed().get().error


@pytest.mark.postgresql  # to run it on one is enough
@pytest.mark.parametrize("masked", [False, True])
def test_hard_limit_kills_a_hung_task_and_is_recorded(start_pool, runs, drained, masked):
    pool = start_pool("-c", 1, "--lease", 120, "--heartbeat", 10)
    began = clock.now()
    limits.hang.delay("a", masked)
    drained()
    # Three runs of half a second, and nothing waits until the lease of a dead worker runs out.
    assert (clock.now() - began) / clock.SECOND < 3 * (0.5 + SLACK)
    row = Task.objects.failed().get()
    assert row.losses == 3
    assert row.error.startswith("time limit passed after")
    tasks.quick.delay("next")
    wait_until(lambda: runs("end", "next"))
    pool.wait_for_log("time limit passed")


@pytest.mark.sqlite  # to run it on one is enough
def test_limits_of_the_pool_hold_for_tasks_without_their_own(start_pool, runs, drained):
    start_pool("-c", 1, "--time-limit", 60, "--soft-time-limit", 0.4)
    tasks.nap.delay("a", 60)
    drained()
    assert "SoftTimeLimitExceeded" in Task.objects.failed().get().error


@pytest.mark.postgresql  # to run it on one is enough
def test_a_hung_task_without_limits_keeps_its_lease_and_one_slot(start_pool, runs, drained):
    start_pool("-c", 2, "--lease", 5, "--heartbeat", 0.5)
    tasks.nap.delay("hung", 15)
    wait_until(lambda: runs("start", "hung"))
    for key in range(20):
        tasks.quick.delay(key)
    wait_until(lambda: len(runs("end")) == 20)
    drained()
    assert len(runs("start", "hung")) == 1


@pytest.mark.sqlite  # to run it on one is enough
@pytest.mark.django_db(transaction=True)
def test_equal_limits_end_a_run_by_one_or_the_other(start_pool):
    start_pool("-c", 1)
    limits.at_both_limits.delay("a")
    wait_until(lambda: Task.objects.failed().exists(), seconds=60, what="it has ended")
    assert "limit" in Task.objects.get().error


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("task", "args"), [(tasks.quick, ("a",)), (tasks.doze, ("a", 0))], ids=["sync", "async"]
)
def test_a_soft_limit_that_passes_before_the_function_is_called_is_raised_in_it(
    worker, runs, task, args
):
    """While the run is made ready: by receivers of signals, say."""
    task.delay(*args)
    claimed = worker.claim_one()
    ours = worker_of_no_pool(worker.id)
    ours.slot.begin(claimed.id, claimed.attempt, claimed.name, clock.now(), 1, 0)
    ours.interrupter.interrupt()
    outcome = ours.execute(claimed, registry.find(claimed.name))
    assert outcome.kind == "taskq.exceptions.SoftTimeLimitExceeded"
    assert not runs("start")


def test_a_coroutine_is_cancelled_also_before_it_has_begun():
    async def function():
        raise AssertionError

    run = calling._AsyncRun(function, [], {}, None)
    run.cancel(SoftTimeLimitExceeded())
    with pytest.raises(SoftTimeLimitExceeded):
        run.run()
