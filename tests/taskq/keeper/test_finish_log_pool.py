"""Workers of real pools are killed, and no task that is done runs again."""

import os
import signal
from collections import Counter

import pytest

from stress.rig.pools import wait_until
from taskq.models import Task
from tests.project.lab import tasks


def batch(keys, fatal=None):
    """Quick tasks, claimed together once they are known as such. fatal: which of them kill their
    worker, and whom with it."""
    tasks.quick_or_fatal.delay_many([(key, (fatal or {}).get(key)) for key in keys])


def starts(runs):
    return Counter(record["key"] for record in runs("start"))


@pytest.fixture
def warm(start_pool, drained):
    """A pool of one worker that knows the task as quick."""

    def start(*options):
        pool = start_pool("-c", 1, *options)
        batch(f"warm {n}" for n in range(50))
        drained()
        return pool

    return start


@pytest.mark.parametrize("with_keeper", [False, True], ids=["alone", "with its keeper"])
def test_no_task_that_is_done_runs_again_after_its_worker_was_killed(
    warm, runs, drained, with_keeper
):
    pool = warm()
    victims = [pool.children("keeper")["keeper"]] if with_keeper else []
    keys = [f"{n}" for n in range(300)]
    batch(keys, fatal={"150": victims})
    drained()
    times = starts(runs)
    assert times.keys() >= set(keys)
    assert {key for key in times if times[key] > 1} == {"150"}
    pool.wait_for_log("had finished and not written are written")


@pytest.mark.parametrize("with_keeper", [False, True], ids=["alone", "with its keeper"])
def test_no_run_that_left_something_is_repeated_after_its_worker_was_killed(
    start_pool, runs, drained, with_keeper
):
    """Its result, its error or its retry is written by the keeper, and is the run's own."""
    pool = start_pool("-c", 1)
    tasks.leave_or_die.delay_many([(f"warm {n}", "keep") for n in range(50)])
    drained()
    victims = [pool.children("keeper")["keeper"]] if with_keeper else []
    hows = {f"{n}": ("keep", "fail", "retry")[n % 3] for n in range(300)}
    sent = tasks.leave_or_die.delay_many(
        [(key, how, victims if key == "150" else None) for key, how in hows.items()]
    )
    drained()
    times = starts(runs)
    again = {key for key, how in hows.items() if how == "retry"} | {"150"}
    assert {key for key in hows if times[key] != 1} == again
    assert {times[key] for key in again} == {2}
    pool.wait_for_log("had finished and not written are written")
    for result, (key, how) in zip(sent, hows.items(), strict=True):
        assert result.status == ("FAILURE" if how == "fail" else "SUCCESS"), key
        assert f"ValueError: {key}" in result.traceback if how == "fail" else result.result == key


def test_workers_that_are_killed_from_outside_cost_one_run_each(start_pool, runs, drained):
    pool = start_pool("-c", 2)
    keys: list[str] = []

    def send():
        more = [f"{n}" for n in range(len(keys), len(keys) + 500)]
        keys.extend(more)
        tasks.nap.delay_many([(key, 0.002) for key in more])

    def at_work(begun):
        if not Task.objects.exists():
            send()  # the pool was quicker than we
        return len(runs("start")) > begun + 20

    send()
    killed = set()
    for _ in range(6):
        begun = len(runs("start"))
        wait_until(lambda begun=begun: at_work(begun))
        pid = wait_until(lambda: set(pool.children("worker").values()) - killed).pop()
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    drained()
    times = starts(runs)
    assert times.keys() == set(keys)
    assert sum(times.values()) - len(keys) <= len(killed)
