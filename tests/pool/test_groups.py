"""What a child starts ends with it."""

import os
import signal

import psutil
import pytest

from tests.conftest import wait_until
from tests.pool.conftest import gone


def programs_of(pool):
    return pool.wait_note("programs")[0]["programs"]


@pytest.mark.parametrize(
    ("options", "kill"),
    [
        (["--hard", 0.3], None),
        (["--lease", 0.3], None),
        ([], signal.SIGKILL),
        ([], signal.SIGSEGV),
    ],
    ids=["hard limit", "lost lease", "SIGKILL", "SIGSEGV"],
)
def test_whatever_a_worker_dies_of_its_programs_end_with_it(start, options, kill):
    pool = start("keeper=notes_deaths", "worker=runs_programs", *options)
    programs = programs_of(pool)
    assert not gone(programs[0]) or not kill
    if kill:
        os.kill(pool.wait_up("worker 1"), kill)
    pool.wait_note("death", slot=1)
    wait_until(lambda: gone(*programs), what="its programs are gone")


def test_programs_of_a_worker_that_is_stopped_end_with_it(start):
    pool = start("keeper=notes_deaths", "worker=runs_programs", "--drain", 0.3)
    programs = programs_of(pool)
    assert pool.stop() == 0
    wait_until(lambda: gone(*programs), what="its programs are gone")


@pytest.mark.parametrize("stopped", [False, True], ids=["", "keeper stopped"])
def test_programs_end_when_the_supervisor_is_killed(start, stopped):
    """The kernel kills the worker in that moment. The support role ends what it had started."""
    pool = start("keeper=notes_deaths", "worker=runs_programs")
    programs, worker, keeper = programs_of(pool), pool.wait_up("worker 1"), pool.wait_up("keeper")
    if stopped:
        os.kill(keeper, signal.SIGSTOP)
    pool.signal(signal.SIGKILL)
    pool.wait_exit()
    wait_until(lambda: gone(*programs, worker, keeper), what="all of them are gone")


def test_what_is_left_of_a_run_ends_and_what_was_there_before_stays(start):
    pool = start("keeper=notes_deaths", "worker=tidies_up")
    (tidied,) = pool.wait_note("tidied")
    assert gone(*tidied["left"])
    assert not any(map(gone, tidied["kept"]))
    assert tidied["found"] == sorted(tidied["left"][:2])  # what they have started is below them
    assert not any(map(gone, tidied["free"]))
    pool.tell("free")
    pool.wait_note("reaped")


def test_ctrl_c_of_the_terminal_reaches_the_supervisor_alone(start):
    pool = start("keeper=notes_deaths", "worker=works")
    assert os.getpgid(pool.pid) == pool.pid
    for pid in pool.children().values():
        assert os.getpgid(pid) == pid
        assert os.getsid(pid) == psutil.Process(pool.pid).pid
