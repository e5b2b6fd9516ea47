"""What is past its time is stopped: runs, leases, and a keeper that hangs."""

import os
import signal

import psutil

from pool import clock
from pool.supervisor import TICK
from tests.conftest import SLACK


def seconds_after(deadline, note):
    return (note["at"] - deadline) / clock.SECOND


def test_hard_deadline_kills_whatever_the_task_does(start):
    """Busy, deaf, or in a C call that holds the GIL."""
    pool = start(
        "keeper=notes_deaths", "worker=spins", "worker=is_deaf", "worker=holds_gil", "--hard", 1
    )
    begun = {note["pid"]: note for note in pool.wait_note("begun", count=3)}
    deaths = pool.wait_note("death", count=3)[:3]
    assert len({death["slot"] for death in deaths}) == 3
    for death in deaths:
        assert death["text"] == "time limit passed after 1 s"
        assert death["task_id"] == 101
        assert 0 <= seconds_after(begun[death["pid"]]["hard"], death) < TICK + SLACK
    # Killed for its task, each is replaced at once.
    again = pool.wait_note("begun", count=6)[3:]
    assert seconds_after(deaths[-1]["at"], again[-1]) < SLACK


def test_soft_deadline_warns_a_run_once(start):
    pool = start("keeper=notes_deaths", "worker=has_soft_limit", "--soft", 0.3, "--hard", 1.2)
    (begun,) = pool.wait_note("begun")
    (warned,) = pool.wait_note("soft limit")
    assert 0 <= seconds_after(begun["soft"], warned) < TICK + SLACK
    pool.wait_note("death")  # several rounds later
    assert len(pool.notes("soft limit", pid=begun["pid"])) == 1


def test_lease_deadline_kills_a_worker_that_holds_work_and_no_idle_one(start):
    pool = start(
        "keeper=notes_deaths", "worker=works", "worker=is_idle_with_old_lease", "--lease", 0.5
    )
    begun, *_ = pool.wait_note("begun")
    death, *_ = pool.wait_note("death")
    assert (death["pid"], death["text"]) == (begun["pid"], "lease ran out unrenewed")
    assert death["lease"] == 7001
    assert 0 <= seconds_after(begun["lease"], death) < TICK + SLACK
    pool.wait_note("death", count=2)
    assert len(pool.notes("up", slot=2)) == 1
    assert {death["slot"] for death in pool.notes("death")} == {1}


def test_frozen_worker_is_killed_when_its_lease_ends(start):
    pool = start("keeper=notes_deaths", "worker=works", "--lease", 1)
    (begun,) = pool.wait_note("begun")
    os.kill(begun["pid"], signal.SIGSTOP)
    (death,) = pool.wait_note("death")
    assert death["text"] == "lease ran out unrenewed"
    assert seconds_after(begun["at"], death) < 1 + TICK + SLACK


def test_supervisor_that_was_frozen_kills_as_soon_as_it_wakes(start):
    pool = start("keeper=notes_deaths", "worker=works", "--hard", 1.2)
    (begun,) = pool.wait_note("begun")
    supervisor = psutil.Process(pool.pid)
    supervisor.suspend()
    pool.wait_clock(begun["hard"] + clock.nanoseconds(0.2))
    assert not pool.notes("death")
    woken = clock.now()
    supervisor.resume()
    (death,) = pool.wait_note("death")
    assert seconds_after(woken, death) < TICK + SLACK


def test_keeper_that_no_longer_beats_is_killed_as_unresponsive(start):
    pool = start("keeper=stops_beating", "worker=waits", "--patience", 3.0)
    first = pool.wait_up("keeper")
    # As long as it beats it is left alone.
    pool.wait_clock(clock.now() + clock.nanoseconds(3.4))
    assert pool.children()["keeper"] == first
    hung = clock.now()
    pool.tell("hang")
    (death,) = pool.wait_note("death")
    assert (death["pid"], death["text"]) == (first, "no longer responsive")
    assert 0.5 < seconds_after(hung, death) < 3.0 + TICK + SLACK
    assert pool.notes("up", name="keeper")[-1]["pid"] != first


def test_run_that_begins_just_before_the_kill_for_another_is_not_charged(start):
    pool = start(
        "keeper=notes_deaths", "worker=works_twice", "--hard", 0.3, "--setting", "kills_late"
    )
    death, *_ = pool.wait_note("death")
    assert pool.notes("finished", pid=death["pid"])
    assert len(pool.notes("begun", pid=death["pid"])) == 2
    assert death["task_id"] == 101
    assert death["text"] == "stopped while at work"


def test_a_run_that_is_asked_to_end_is_warned_and_then_killed_and_no_other_is(start):
    pool = start("keeper=ends_runs", "worker=has_soft_limit*2")
    begun = {note["name"]: note for note in pool.wait_note("begun", count=2)}
    pool.tell("end runs")
    (asked,) = pool.wait_note("asked")
    (warned,) = pool.wait_note("soft limit")
    (death,) = pool.wait_note("death")
    assert warned["pid"] == death["pid"] == begun["worker 1"]["pid"]
    assert 0 <= seconds_after(asked["at_clock"], warned) < TICK + SLACK
    assert 0.5 <= seconds_after(asked["at_clock"], death) < 0.5 + TICK + SLACK
    assert death["text"] == "killed, as its run was asked to end and did not"
    assert (death["task_id"], death["attempt"]) == (101, 1)
    assert pool.children()["worker 2"] == begun["worker 2"]["pid"]
    assert len(pool.notes("soft limit")) == 1
