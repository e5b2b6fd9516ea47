"""Workers that want more memory than there is: the task fails, and the pool lives."""

import os

import psutil
import pytest

from stress.rig.cgroup import MemoryCgroup, Unavailable
from taskq.models import State, Task
from tests.project.lab import leftovers, tasks

pytestmark = pytest.mark.sqlite  # to run it on one is enough


@pytest.fixture
def small_memory():
    """A cgroup that takes a pool and little more."""
    try:
        group = MemoryCgroup(f"taskq-test-{os.getpid()}", 200 * 2**20)
    except Unavailable as reason:
        pytest.skip(str(reason))
    with group:
        yield group


def test_a_task_that_the_kernel_kills_for_memory_says_so_and_the_pool_lives(
    small_memory, start_pool, runs, drained
):
    pool = start_pool("-c", 1, prefix=small_memory.prefix)
    keeper = pool.children("keeper")["keeper"]
    leftovers.eat_memory.delay("hungry", 1000)
    tasks.quick.delay("innocent")
    drained()
    hungry = Task.objects.get()
    assert (hungry.state, hungry.losses) == (State.FAILED, 3)
    assert hungry.error == "out of memory (killed by the kernel)"
    assert len(runs("end", "innocent")) == 1
    assert small_memory.oom_kills() == 3
    # The workers were the likelier victims: the others are still there.
    assert pool.children("keeper")["keeper"] == keeper
    assert pool.stop() == 0


def test_a_task_that_gets_no_memory_fails_and_its_worker_is_replaced(start_pool, runs, drained):
    """Where a limit refuses memory there is no kill: Python raises MemoryError."""
    pool = start_pool("-c", 1)
    (worker,) = pool.children("worker").values()
    psutil.Process(worker).rlimit(psutil.RLIMIT_AS, (2**30, 2**30))
    leftovers.eat_memory.delay("hungry", 4000)
    tasks.quick.delay("next")
    drained()
    assert Task.objects.get().error == "MemoryError"
    assert runs("end", "next")[0]["pid"] != worker
