"""What is past its time is stopped: runs, leases, and a keeper that hangs."""

import signal

import psutil

from pool import clock
from pool.supervisor import TICK
from tests.conftest import SLACK, wait_until


def seconds_after(deadline, note):
    return (note["at"] - deadline) / clock.SECOND


def test_hard_deadline_kills_whatever_the_task_does(start):
    """Busy, deaf, or in a C call that holds the GIL."""
    pool = start(
        "keeper=notes_deaths", "worker=spins", "worker=is_deaf", "worker=holds_gil", "--hard", 1
    )
    for slot in (1, 2, 3):
        death, *_ = pool.wait_note("death", slot=slot)
        (run,) = pool.notes("begins", pid=death["pid"])
        assert death["text"] == f"time limit passed after {death['seconds']} s"
        assert 1 <= death["seconds"] <= seconds_after(run["since"], death)
        assert death["task_id"] == 101
        assert 0 <= seconds_after(run["hard"], death) < TICK + SLACK
        # Killed for its task, it is replaced at once.
        _, again, *_ = pool.wait_note("up", slot=slot, count=2)
        assert seconds_after(death["at"], again) < SLACK


def test_soft_deadline_warns_a_run_once(start):
    pool = start("keeper=notes_deaths", "worker=has_soft_limit", "--soft", 0.3)
    (begun,) = pool.wait_note("begun")
    (warned,) = pool.wait_note("soft limit")
    assert 0 <= seconds_after(begun["soft"], warned) < TICK + SLACK
    for rounds in (1, 2, 3):
        pool.signal(signal.SIGUSR1)
        wait_until(lambda: pool.log().count("runs sample #101") == rounds)  # noqa: B023
    pool.tell("finish")
    assert pool.stop() == 0
    assert len(pool.notes("soft limit")) == 1


def test_lease_deadline_kills_a_worker_that_holds_work_and_no_idle_one(start):
    pool = start(
        "keeper=notes_deaths", "worker=works", "worker=is_idle_with_old_lease", "--lease", 0.5
    )
    death, *_ = pool.wait_note("death")
    (run,) = pool.notes("begins", pid=death["pid"])
    assert death["text"] == "lease ran out unrenewed"
    assert death["lease"] == 7001
    assert 0 <= seconds_after(run["lease"], death) < TICK + SLACK
    pool.wait_note("death", count=2)
    assert len(pool.notes("up", slot=2)) == 1
    assert {death["slot"] for death in pool.notes("death")} == {1}


def test_frozen_worker_is_killed_when_its_lease_ends(start):
    pool = start("keeper=notes_deaths", "worker=freezes", "--lease", 1)
    death, *_ = pool.wait_note("death")
    (run,) = pool.notes("begins", pid=death["pid"])
    assert death["text"] == "lease ran out unrenewed"
    assert 0 <= seconds_after(run["lease"], death) < TICK + SLACK


def test_supervisor_that_was_frozen_kills_as_soon_as_it_wakes(start):
    pool = start("keeper=notes_deaths", "worker=has_a_lease", "--hard", 0.5)
    supervisor = psutil.Process(pool.pid)
    supervisor.suspend()
    wait_until(lambda: supervisor.status() == psutil.STATUS_STOPPED)
    pool.tell("begin")
    (begun,) = pool.wait_note("begun")
    pool.wait_clock(begun["hard"] + clock.nanoseconds(0.2))
    assert not pool.notes("death")
    woken = clock.now()
    supervisor.resume()
    death, *_ = pool.wait_note("death")
    assert seconds_after(woken, death) < TICK + SLACK


def test_keeper_that_no_longer_beats_is_killed_as_unresponsive(start):
    pool = start("keeper=stops_beating", "worker=waits", "--patience", 5.0)
    first = pool.wait_up("keeper")
    # As long as it beats it is left alone.
    pool.wait_clock(clock.now() + clock.nanoseconds(5.4))
    assert pool.children()["keeper"] == first
    hung = clock.now()
    pool.tell("hang")
    (death,) = pool.wait_note("death")
    assert (death["pid"], death["text"]) == (first, "no longer responsive")
    assert 0.5 < seconds_after(hung, death) < 5.0 + TICK + SLACK
    pool.wait_up("keeper", other_than=first)


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
    assert 4 <= seconds_after(asked["at_clock"], death) < 4 + TICK + SLACK
    assert death["text"] == "killed, as its run was asked to end and did not"
    assert (death["task_id"], death["attempt"]) == (101, 1)
    assert pool.children()["worker 2"] == begun["worker 2"]["pid"]
    assert len(pool.notes("soft limit")) == 1
