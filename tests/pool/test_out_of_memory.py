"""The kernel kills for memory: the cause is named, and the supervisor is not the victim."""

import contextlib
import os
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import SLACK

MEMORY = Path("/sys/fs/cgroup/memory")
LIMIT = 100_000_000


@pytest.fixture
def cgroup():
    """A memory cgroup (v1) of LIMIT bytes."""
    path = MEMORY / f"taskq-test-{os.getpid()}-{time.monotonic_ns()}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup of version 1 to be made here: {error}")
    if not (path / "memory.limit_in_bytes").exists():
        path.rmdir()
        pytest.skip(f"{MEMORY} is no memory controller of version 1")
    (path / "memory.limit_in_bytes").write_text(str(LIMIT))
    with contextlib.suppress(OSError):  # without swap there is nothing to limit
        (path / "memory.memsw.limit_in_bytes").write_text(str(LIMIT))
    yield path
    # Not before the last of its processes is gone, which the pool's fixture sees to.
    deadline = time.monotonic() + SLACK
    while True:
        try:
            return path.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def test_worker_killed_for_memory_is_said_to_have_been(cgroup, start):
    pool = start("keeper=notes_deaths", "worker=allocates*2", "--cgroup", cgroup)
    pool.wait_note("begun", count=2)
    pool.tell("allocate")
    deaths = pool.wait_note("death", count=2)
    assert {death["text"] for death in deaths} == {"out of memory (killed by the kernel)"}
    assert {death["task_id"] for death in deaths} == {101, 102}
    pool.wait_note("finished", count=2)
    assert len(pool.notes("up", name="keeper")) == 1
    assert pool.stop() == 0


def test_program_of_a_task_that_is_killed_for_memory_is_no_death(cgroup, start):
    pool = start("keeper=notes_deaths", "worker=has_subprocess_that_allocates", "--cgroup", cgroup)
    (program,) = pool.wait_note("subprocess")
    assert program["status"] == -9
    assert pool.stop() == 0
    assert len(pool.notes("up")) == 2
    assert {death["text"] for death in pool.notes("death")} == {"exit code 0"}


def test_workers_are_the_likelier_victims(start):
    pool = start("keeper=notes_deaths", "worker=waits")

    def points(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    if not psutil.LINUX:
        pytest.skip("only Linux has a score for the OOM killer")
    children = pool.children()
    assert points(children["keeper"]) == points(pool.pid)
    assert points(children["worker 1"]) == min(1000, points(pool.pid) + 300)
