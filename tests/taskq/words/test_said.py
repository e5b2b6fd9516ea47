"""What happens in a worker and would else be silent."""

from __future__ import annotations

import re

import pytest

from stress.rig.pools import wait_until
from taskq.models import State, Task
from tests.project.lab import limits, tasks

pytestmark = pytest.mark.sqlite  # to run it on one is enough


def test_a_soft_limit_that_a_task_swallowed_is_said(start_pool, drained):
    pool = start_pool("-c", 1)
    swallowed = limits.shrug.delay("a")
    raised = limits.too_long.delay("b")
    tasks.quick.delay("c")
    drained()
    pool.wait_for_log(f"shrug #{swallowed.id.int} has caught SoftTimeLimitExceeded")
    assert pool.log().count("has caught") == 1
    assert Task.objects.failed().get().pk == raised.id.int


def test_a_cancel_that_a_task_swallowed_is_said(start_pool, runs, drained):
    pool = start_pool("-c", 1)
    result = limits.refuse.delay("a", "return")
    wait_until(lambda: runs("start", "a"))
    assert result.cancel()
    pool.wait_for_log(f"refuse #{result.id.int} has caught TaskCancelled")


def test_what_a_task_printed_is_there_when_its_worker_is_killed(start_pool):
    pool = start_pool("-c", 1, PYTHONUNBUFFERED="")
    tasks.print_and_die.delay("a")
    pool.wait_for_log("printed by a")
    pool.wait_for_log("lost its worker")


def test_a_memory_limit_below_an_idle_worker_is_said_once_with_both_figures(start_pool, drained):
    pool = start_pool("-c", 1, "--max-memory-per-child", 1000, ready=False)
    for key in range(3):
        tasks.quick.delay(key)
    drained()
    pool.wait_for_log("is replaced after 1 runs: it has ")
    said = r"WARNING a worker has ([\d,]+) KiB before it runs anything, more than .* \(1,000\)"
    (kib,) = re.findall(said, pool.log())
    assert int(kib.replace(",", "")) > 10_000


def test_a_memory_limit_that_leaves_room_is_not_spoken_of(start_pool, drained):
    pool = start_pool("-c", 1, "--max-memory-per-child", 10_000_000)
    tasks.quick.delay("a")
    drained()
    assert "KiB" not in pool.log()
    assert not Task.objects.exclude(state=State.READY).exists()
