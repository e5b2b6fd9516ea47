"""Django's own tasks (or their backport): run by a pool, killed there and told to stop."""

from __future__ import annotations

import os
import signal

from tests.taskq.djangos_tasks import native  # first: there may be none

# isort: split
from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.celery import AsyncResult, TaskCancelled
from taskq.django.compat import TaskResultStatus
from taskq.models import Result
from taskq.task.progress import Progress
from tests.project.lab import tasks as lab


def finished(result, seconds=60):
    def look():
        result.refresh()
        return result.is_finished

    wait_until(look, seconds=seconds, what=f"{result.task.name} is finished")
    return result


def test_both_front_doors_are_one_queue(start_pool, runs):
    sums = native.add.enqueue_many([(number, 1) for number in range(20)])
    celery = lab.add.delay(1, 2)
    sent = native.send.enqueue(5)
    asleep = native.doze.enqueue("a", 0)
    told = native.tell.enqueue("b")
    broken = native.fail.enqueue("c")
    twice = native.fail_twice.enqueue("d")
    placed = native.place.enqueue(1)
    misplaced = native.place.enqueue(2, succeed=False)
    strange = native.give_back_an_object.enqueue()
    pool = start_pool("-c", 2)

    assert [finished(result).return_value for result in sums] == list(range(1, 21))
    assert celery.get(timeout=60) == 3
    assert finished(sent).return_value == {"sent": 5}
    assert finished(asleep).return_value in (0, 1)
    status, args, name, workers, attempt = finished(told).return_value
    assert (status, args, name, attempt) == ("RUNNING", ["b"], "tell", 1)
    assert workers == told.worker_ids

    assert finished(broken).status == TaskResultStatus.FAILED
    (error,) = broken.errors
    assert error.exception_class is ValueError
    assert error.traceback.endswith("ValueError: no good\n")

    assert finished(twice).return_value == 3
    assert [record["attempt"] for record in runs("attempt")] == [1, 2, 3]
    assert twice.attempts == 3
    assert [each.traceback.splitlines()[-1] for each in twice.errors] == [
        "ValueError: attempt 1",
        "ValueError: attempt 2",
    ]

    assert finished(placed).return_value == 1
    assert finished(misplaced).status == TaskResultStatus.FAILED
    assert [order.number for order in Order.objects.all()] == [1]

    assert finished(strange).status == TaskResultStatus.FAILED
    assert strange.errors[0].exception_class is TypeError
    assert "TypeError: Unsupported type: what it returned" in strange.errors[0].traceback

    assert Result.objects.count() == 20 + 6
    # The last signals are sent once the outcome can be seen.
    everything = [*sums, sent, asleep, told, broken, twice, placed, misplaced, strange]
    wait_until(lambda: len(runs("finished")) == len(everything))
    for result in everything:
        signals = [record for record in runs(key=result.id) if "status" in record]
        assert [(record["kind"], record["attempts"]) for record in signals] == [
            *(("started", number) for number in range(1, result.attempts + 1)),
            ("finished", result.attempts),
        ]
        assert signals[0]["status"] == "RUNNING"
        assert signals[-1]["status"] == result.status
        if result.status == TaskResultStatus.SUCCESSFUL:
            assert signals[-1]["value"] == result.return_value
    pool.wait_for_log("a receiver that fails")
    assert "has no TaskResult" not in pool.log()


def test_a_task_whose_worker_is_killed_succeeds_on_its_second_attempt(start_pool, runs):
    start_pool("-c", 1)
    result = native.nap_and_tell.enqueue("a", 60)
    (start,) = wait_until(lambda: runs("start", "a"))
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.RUNNING, 1)
    os.kill(start["pid"], signal.SIGKILL)
    finished(result)
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert result.attempts == len(set(result.worker_ids)) == 2
    assert result.return_value == {"attempt": 2, "id": result.id}
    (error,) = result.errors
    assert error.exception_class_path == "taskq.exceptions.WorkerLost"
    assert error.traceback == "killed by SIGKILL"
    assert result.started_at < result.last_attempted_at <= result.finished_at
    assert len(runs("start", "a")) == 2


def test_on_lost_fail_is_held_and_says_why(start_pool, runs):
    start_pool("-c", 1)
    result = native.charge.enqueue("a", 60)
    (start,) = wait_until(lambda: runs("start", "a"))
    os.kill(start["pid"], signal.SIGKILL)
    finished(result)
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 1)
    assert result.errors[0].traceback == "killed by SIGKILL"


def test_a_context_says_how_far_it_is_and_is_told_to_stop(start_pool, runs):
    start_pool("-c", 1)
    sent = native.count.enqueue("a")
    result = AsyncResult(sent.id)
    (start,) = wait_until(lambda: runs("start", "a"))
    assert (start["headers"], start["stopping"]) == ({}, False)
    wait_until(lambda: result.progress == Progress(3, 4))
    assert result.cancel()
    wait_until(lambda: result.status == "REVOKED")
    assert [each["told"] for each in runs("stopping", "a")] == [True]
    sent.refresh()
    assert sent.status == TaskResultStatus.FAILED
    assert [each.exception_class for each in sent.errors] == [TaskCancelled]


def test_a_pool_without_logging_leaves_out_djangos_two_lines_for_each_run(start_pool, drained):
    pool = start_pool("-c", 1)
    native.add.enqueue(1)
    drained()
    assert pool.stop() == 0
    pool.wait_for_log("ran tests.project.native.tasks.add")
    assert "Task id=" not in pool.log()
