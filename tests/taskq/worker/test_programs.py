"""The programs that a task runs end with its run."""

import os
import signal

import pytest

from stress.rig.pools import wait_until
from taskq.models import Task
from tests.pool.conftest import gone
from tests.project.lab import leftovers


def programs(runs, count=1):
    wait_until(lambda: len(runs("program")) >= count, what=f"{count} programs have started")
    return [record["program"] for record in runs("program")]


@pytest.mark.sqlite  # to run it on one is enough
def test_a_program_ends_at_the_hard_limit_of_its_task(start_pool, runs, drained):
    start_pool("-c", 1)
    leftovers.run_program_too_long.delay("a")
    drained()
    assert Task.objects.failed().get().losses == len(programs(runs)) == 3
    wait_until(lambda: gone(*programs(runs)))


@pytest.mark.sqlite  # to run it on one is enough
def test_a_program_ends_when_its_task_is_cancelled(start_pool, runs):
    start_pool("-c", 1, TASKQ_CANCEL_GRACE="1")
    result = leftovers.run_program.delay("a")
    (program,) = programs(runs)
    assert result.cancel()
    wait_until(lambda: Task.objects.cancelled().exists())
    wait_until(lambda: gone(program))


@pytest.mark.postgresql  # the cut is the proxy's
def test_a_program_ends_before_its_task_may_run_elsewhere(start_pool, far_away, runs):
    proxy, url = far_away
    start_pool("-c", 1, "--lease", 6, "--heartbeat", 1, DATABASE_URL=url)
    leftovers.run_program.delay("a")
    (program,) = programs(runs)
    proxy.hold()
    wait_until(lambda: gone(program), what="the worker is stopped with its program")
    assert Task.objects.get().losses == 0


@pytest.mark.sqlite  # to run it on one is enough
def test_a_program_ends_when_the_whole_pool_is_killed(start_pool, runs):
    pool = start_pool("-c", 1)
    leftovers.run_program.delay("a")
    (program,) = programs(runs)
    pool.signal(signal.SIGKILL)
    wait_until(lambda: gone(program))


@pytest.mark.sqlite  # to run it on one is enough
def test_a_program_that_a_run_leaves_behind_ends_with_it(start_pool, runs, drained):
    start_pool("-c", 1)
    leftovers.leave_programs.delay("a")
    drained()
    ((left, free),) = [record["programs"] for record in runs("left")]
    wait_until(lambda: gone(left))
    assert not gone(free), "it has a session of its own"
    os.kill(free, signal.SIGKILL)
