"""Children that die again and again: the pool backs off, says why, and heals."""

import contextlib
import itertools
import os
import re
import signal

import pytest

from pool import clock
from pool.supervisor import BOOT_TRIES
from tests.conftest import SLACK, wait_until


def gaps(notes):
    """Seconds between notes of one child."""
    return [
        (after["at"] - before["at"]) / clock.SECOND for before, after in itertools.pairwise(notes)
    ]


def test_child_that_dies_at_start_is_forked_ever_more_rarely(start):
    pool = start("worker=waits", "helper=crashes", up=False)
    tries = gaps(pool.wait_note("crashing", count=6))
    said = re.findall(r"helper \(pid \d+\) died: .*; (.*)|next try in ([\d.]+) s", pool.log())
    assert said[0][0] == "restarting"  # the first time at once
    for gap, (_, last), wait in zip(tries[1:], said[1:], (0.1, 0.2, 0.4, 0.8), strict=False):
        assert 0.9 * wait <= gap < wait + SLACK
        assert 0.9 * wait - 0.05 <= float(last) <= wait
    assert pool.process.poll() is None
    # No more than this a minute, for the wait doubles up to 30 s.
    assert sum(tries) > 1.3


def test_why_it_dies_is_said_once(start):
    pool = start("worker=waits", "helper=crashes", up=False)
    pool.wait_note("crashing", count=6)
    pool.wait_log("next try in 1.")
    said = [
        line.partition(" ")[2]
        for line in pool.log().splitlines()
        if " helper" in line and " DEBUG " not in line
    ]
    crashed, died, again = said
    assert re.fullmatch(r"ERROR helper \(pid \d+\) crashed", crashed)
    assert re.fullmatch(r"WARNING helper \(pid \d+\) died: exit code 70; restarting", died)
    # The early tries come too fast to be worth a warning.
    assert re.fullmatch(r"WARNING helper keeps dying at start; next try in 1\.\d s", again)
    pool.wait_log("RuntimeError: the app is broken")


def test_pool_whose_workers_never_come_up_gives_up(start):
    pool = start("keeper=notes_deaths", "worker=crashes*2", up=False)
    assert pool.wait_exit() == 1
    assert len(pool.notes("crashing")) == BOOT_TRIES
    pool.wait_log("CRITICAL no worker ever came up (exit code 70); giving up")
    # The keeper saw all of them.
    assert len(pool.notes("death", text="exit code 70")) == BOOT_TRIES


def test_worker_that_leaves_before_it_came_up_counts_as_one_that_did_not(start):
    pool = start("worker=leaves_at_once", up=False)
    assert pool.wait_exit() == 1
    pool.wait_log("no worker ever came up (exit code 0); giving up")


def test_pool_of_which_one_worker_came_up_does_not_give_up_and_heals(start):
    pool = start("keeper=notes_deaths", "worker=crashes_unless_first*2", up=False)
    pool.wait_up("worker 1")
    pool.wait_note("crashing", name="worker 2", count=BOOT_TRIES)
    pool.tell("heal")
    pool.wait_up("worker 2")
    assert pool.stop() == 0


def test_crash_loop_of_the_keeper_ends_nobody_and_heals(start):
    pool = start("keeper=crashes", "worker=waits", up=False)
    pool.wait_note("crashing", count=5)
    pool.tell("heal")
    pool.wait_up("keeper")
    assert len(pool.notes("up", name="worker 1")) == 1
    assert pool.stop() == 0


def test_child_that_crashes_after_it_worked_is_replaced_at_once(start):
    pool = start("keeper=notes_deaths", "worker=crashes_after_work", up=False)
    pool.wait_note("finished")
    pool.tell("crash")
    pool.wait_note("up", name="worker 1", count=8)
    said = set(re.findall(r"died: exit code 5; (.*)", pool.log()))
    assert said == {"restarting"}  # in a crash loop it would say when


def test_work_done_by_its_predecessor_does_not_excuse_a_child_that_dies_at_start(start):
    pool = start("keeper=notes_deaths", "worker=works_once", up=False)
    pool.wait_note("finished")
    pool.tell("crash")
    assert gaps(pool.wait_note("crashing", count=5))[-1] >= 0.9 * 0.4


def test_worker_that_dies_as_soon_as_it_is_up_was_up(start):
    """Even if the supervisor did not see it alive, as may happen to the fastest."""
    pool = start("worker=crashes_unseen", up=False)
    pool.wait_note("up")
    wait_until(lambda: not pool.children())
    pool.signal(signal.SIGCONT)
    pool.wait_note("crashing", count=BOOT_TRIES)
    assert pool.stop() == 0
    assert "giving up" not in pool.log()


def test_child_that_crashes_before_it_worked_is_not_though_it_came_up(start):
    pool = start("worker=crashes_idle")
    pool.tell("crash")
    ups = pool.wait_note("up", count=5)
    assert gaps(ups)[-1] >= 0.9 * 0.4
    assert re.search(r"worker 1 \(pid \d+\) died: exit code 5; again in 0\.4 s", pool.log())


def test_fork_that_is_refused_is_tried_again(start):
    pool = start("keeper=notes_deaths", "worker=waits", "--setting", "fork_fails")
    assert [note["pid"] for note in pool.notes("no fork")] == [pool.pid] * 3
    pool.wait_log("cannot fork keeper: [Errno 11] Resource temporarily unavailable")
    assert pool.stop() == 0


@pytest.mark.parametrize("role", ["worker", "keeper"])
def test_term_during_a_crash_loop_does_not_wait_for_the_next_try(start, role):
    other = {"worker": "keeper=notes_deaths", "keeper": "worker=waits"}[role]
    pool = start("worker=waits", f"{role}=crashes", other, up=False)
    wait_until(lambda: re.search(r"next try in [56]\.", pool.log()), what="waits of seconds")
    assert pool.stop() == 0
    started = re.findall(r"DEBUG (\w+).* started, pid", pool.log().partition("stopping: ")[2])
    # The keeper is tried once more, to see the last deaths: once, and so not after a wait.
    assert started == {"worker": [], "keeper": ["keeper"]}[role]
    assert pool.notes("left", name="worker 1")


def test_term_while_forks_are_refused_ends_the_pool(start):
    pool = start(
        "keeper=notes_deaths", "--setting", "fork_fails_for_good", "--closing", 0.5, up=False
    )
    tries = gaps(pool.wait_note("no fork", count=3))
    assert tries[1] >= 0.9
    said = re.findall(r"cannot fork keeper: .*; next try in ([\d.]+) s", pool.log())
    assert float(said[0]) == 0  # at once, then after a second
    assert pool.stop() == 0


def test_children_killed_while_draining_do_not_hold_up_the_end(start):
    pool = start("keeper=notes_deaths", "worker=works*4")
    pool.wait_note("begun", count=4)
    keeper = pool.wait_up("keeper")
    pool.signal(signal.SIGTERM)
    pool.wait_log("stopping")
    workers = pool.children("worker")
    for pid in workers.values():
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # it may have ended, as nothing is left to do
        os.kill(keeper, signal.SIGKILL)
    assert pool.wait_exit() == 0
    assert {death["pid"] for death in pool.notes("death", text="killed by SIGKILL")} >= set(
        workers.values()
    )


def test_keeper_killed_again_and_again_at_the_end_does_not_keep_the_pool(start):
    pool = start("keeper=dies_at_once", "worker=waits", "--closing", 1, up=False)
    pool.wait_up("worker 1")
    assert pool.stop() == 0
    wait_until(lambda: pool.notes("stopped"))
