"""Cancelling what runs in a pool: the run is told, and ends or is killed."""

import os
import signal

import pytest
from django.db import transaction

from pool import clock
from pool.supervisor import TICK
from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.celery import TaskRevokedError
from taskq.models import Task
from tests.conftest import SLACK
from tests.project.lab import limits, sessions, tasks
from tests.taskq.sleepers import sleepers


def cancelled(result):
    """Once it is kept as cancelled: its row."""
    return wait_until(lambda: Task.objects.cancelled().filter(pk=result.id.int).first())


def test_a_running_task_is_told_at_once_and_ends(start_pool, runs):
    pool = start_pool("-c", 1, "--lease", 90, "--heartbeat", 30)
    result = limits.carry_on.delay("a", 60)
    wait_until(lambda: runs("start", "a"))
    asked = clock.now()
    assert result.cancel()
    row = cancelled(result)
    (ended,) = runs("raised", "a")
    assert ended["error"] == "TaskCancelled"
    assert (ended["at"] - asked) / clock.SECOND < TICK + SLACK
    assert row.error == "taskq.exceptions.TaskCancelled: the task was cancelled"
    assert "carry_on" in row.traceback
    assert (row.losses, row.retries) == (0, 0)
    assert not runs("carried on")
    # The worker lives, and its next task is left in peace.
    tasks.quick.delay("next")
    (after,) = wait_until(lambda: runs("end", "next"))
    assert after["pid"] == ended["pid"]
    pool.wait_for_log("was cancelled")
    assert pool.stop() == 0
    assert not Task.objects.exclude(pk=row.pk).exists()


def test_a_coroutine_is_cancelled(start_pool, runs):
    start_pool("-c", 1)
    result = tasks.doze.delay("a", 60)
    wait_until(lambda: runs("start", "a"))
    result.cancel()
    assert cancelled(result).error.endswith("TaskCancelled: the task was cancelled")
    assert runs("raised", "a")[0]["error"] == "CancelledError"


def test_one_that_does_not_end_is_killed_with_its_worker_after_the_grace(start_pool, runs):
    # More than a supervisor that is slow to go round takes to tell the run before it kills it.
    pool = start_pool("-c", 1, TASKQ_CANCEL_GRACE="5")
    result = limits.refuse.delay("a", "on")
    (start,) = wait_until(lambda: runs("start", "a"))
    result.cancel()
    row = cancelled(result)
    assert row.error == "cancelled; its worker: killed, as its run was asked to end and did not"
    assert (row.losses, row.attempt) == (0, 1)
    (refused,) = runs("refused", "a")
    wait_until(lambda: pool.children("worker").get("worker 1") not in (None, start["pid"]))
    with pytest.raises(TaskRevokedError, match="asked to end"):
        result.get()
    assert (row.failed_at.timestamp() - row.cancelled_at.timestamp()) > 5
    tasks.quick.delay("next")
    wait_until(lambda: runs("end", "next"))
    assert len(runs("start", "a")) == 1
    assert refused["pid"] == start["pid"]


def test_without_a_grace_the_worker_is_killed_at_once(start_pool, runs):
    start_pool("-c", 1, TASKQ_CANCEL_GRACE="0")
    result = limits.refuse.delay("a", "on")
    wait_until(lambda: runs("start", "a"))
    result.cancel()
    assert "asked to end and did not" in cancelled(result).error
    assert not runs("refused", "a")


@pytest.mark.parametrize(("how", "status"), [("retry", "REVOKED"), ("return", "SUCCESS")])
def test_one_that_answers_in_its_own_way(start_pool, runs, how, status):
    start_pool("-c", 1)
    result = limits.refuse.delay("a", how)
    wait_until(lambda: runs("start", "a"))
    result.cancel()
    wait_until(lambda: result.status == status)
    assert len(runs("start", "a")) == 1


def test_a_soft_limit_comes_first_and_a_cancel_after_it_still_does(start_pool, runs):
    start_pool("-c", 1)
    result = limits.warned_then_cancelled.delay("a")
    wait_until(lambda: runs("warned", "a"))
    result.cancel()
    assert "TaskCancelled" in cancelled(result).error


@pytest.mark.postgresql
def test_the_statement_that_runs_on_the_server_is_cancelled_too(start_pool, runs):
    Order.objects.create(number=1)
    start_pool("-c", 1)
    result = sessions.ask_server.delay("a", 30)
    wait_until(lambda: runs("start", "a"))
    wait_until(sleepers)
    result.cancel()
    cancelled(result)
    wait_until(lambda: not sleepers())
    with transaction.atomic():
        Order.objects.select_for_update(nowait=True).get()


@pytest.mark.parametrize("victim", ["worker", "pool"])
def test_a_cancel_outlives_who_should_have_acted_on_it(start_pool, runs, victim):
    short = ("--lease", "6", "--heartbeat", "0.5", "--poll", "0.2")
    pool = start_pool("-c", 1, *short)
    result = tasks.nap.delay("a", 60)
    (start,) = wait_until(lambda: runs("start", "a"))
    if victim == "worker":
        # Nobody tells it. Were the keeper stopped in place of the supervisor, it might be with
        # the lock that the cancel needs on SQLite.
        os.kill(pool.pid, signal.SIGSTOP)
        assert result.cancel()
        os.kill(start["pid"], signal.SIGKILL)
        os.kill(pool.pid, signal.SIGCONT)
    else:
        pool.kill_all()
        assert result.cancel()
        start_pool("-c", 1, *short)
    assert cancelled(result).losses == 0
    tasks.quick.delay("next")
    wait_until(lambda: runs("end", "next"))
    assert len(runs("start", "a")) == 1


def test_a_pool_that_does_not_listen_sees_it_at_its_heartbeat(start_pool, runs):
    start_pool("-c", 1, "--lease", 6, "--heartbeat", 0.5, TASKQ_LISTEN="false")
    result = tasks.nap.delay("a", 60)
    wait_until(lambda: runs("start", "a"))
    result.cancel()
    cancelled(result)
