"""How a child leaves, and what it leaves behind."""

import os
import signal

from tests.conftest import wait_until
from tests.pool.conftest import gone


def test_exit_code_is_what_the_role_returned_or_exited_with(start):
    pool = start(
        "keeper=notes_deaths", "worker=raises_system_exit*3", "other=leaves_badly", "third=crashes",
        up=False,
    )  # fmt: skip

    def codes():
        return {death["slot"]: death["code"] for death in pool.notes("death")}

    # Those that die at once may die twice before another dies for the first time.
    wait_until(lambda: len(codes()) == 5)
    # As for sys.exit(): nothing is 0, a text 1. What is no code, or an error, is 70.
    assert codes() == {1: 0, 2: 7, 3: 1, 4: os.EX_SOFTWARE, 5: os.EX_SOFTWARE}


def test_alarm_that_a_task_left_behind_does_not_spoil_the_end(start):
    pool = start("keeper=notes_deaths", "worker=is_interrupted_at_exit")
    (death,) = pool.wait_note("death")
    assert death["text"] == "exit code 0"


def test_grandchild_that_lives_on_holds_nobody_up(start):
    """It has inherited every pipe of the pool, and has left the worker's process group."""
    pool = start("keeper=notes_deaths", "worker=has_daemon")
    (note,) = pool.wait_note("grandchild")
    first = pool.wait_up("worker 1")
    os.kill(first, signal.SIGKILL)
    pool.wait_up("worker 1", other_than=first)
    assert pool.stop() == 0
    assert not gone(note["grandchild"])
    os.kill(note["grandchild"], signal.SIGKILL)


def test_children_do_not_live_on_for_a_grandchild_that_holds_their_pipes(start):
    pool = start("worker=has_daemon", "--setting", "no_parent_death_signal")
    pool.wait_note("grandchild")
    worker = pool.wait_up("worker 1")
    pool.signal(signal.SIGKILL)
    pool.wait_exit()
    wait_until(lambda: gone(worker))


def test_warning_that_comes_late_kills_no_child_without_a_soft_limit(start):
    pool = start("keeper=notes_deaths", "worker=works")
    pool.wait_note("begun")
    os.kill(pool.wait_up("worker 1"), signal.SIGUSR1)
    os.kill(pool.wait_up("keeper"), signal.SIGUSR1)
    pool.tell("finish")
    assert pool.stop() == 0
    assert len(pool.notes("finished")) == 1
    assert len(pool.notes("left")) == 2
