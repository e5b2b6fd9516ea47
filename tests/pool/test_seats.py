"""A seat by itself: what it makes of a death, and when it is filled again."""

import os
import signal

import pytest

from pool import Cause, Role, Scoreboard, State, clock, kernel
from pool.kernel import OomCounter
from pool.seat import GROWTH, STABLE, Seat

PID = 4242
KILLED, LEFT, CRASHED = int(signal.SIGKILL), 0, 70 << 8


@pytest.fixture
def now(monkeypatch):
    """The clock of the pool, set by hand: now[0] is in seconds."""
    at = [1000.0]
    monkeypatch.setattr(clock, "now", lambda: clock.nanoseconds(at[0]))
    return at


@pytest.fixture
def sent(monkeypatch):
    """The signals that were sent instead of being sent."""
    signals = []
    monkeypatch.setattr(os, "kill", lambda pid, number: signals.append((pid, number)))
    monkeypatch.setattr(os, "killpg", lambda pid, number: signals.append((-pid, number)))
    return signals


@pytest.fixture
def oom(tmp_path):
    """Without a cgroup: nothing is ever out of memory."""
    return OomCounter(tmp_path, tmp_path)


@pytest.fixture
def seat(now, sent):
    role = Role(name="worker", run=lambda child: None, scalable=True, patience=3.0)
    seat = Seat(role, 1, Scoreboard(1).slots[0])
    seat.prepare()
    seat.occupy(PID)
    return seat


def run(seat, task_id, *, since=None):
    seat.slot.since = clock.now() if since is None else since
    seat.slot.attempt = 2
    seat.slot.task_id = task_id


def test_death_says_what_the_child_ran_and_under_which_lease(seat, now, oom):
    seat.slot.grant(77, seat.slot.generation, 0)
    run(seat, 5)
    now[0] += 12.9
    death = seat.death(CRASHED, oom)
    assert (death.slot, death.pid, death.lease) == (0, PID, 77)
    assert (death.task_id, death.attempt, death.seconds) == (5, 2, 12)
    assert (death.cause, death.code) == (Cause.EXIT, 70)


def test_death_does_not_name_the_lease_or_the_task_of_a_predecessor(seat, oom):
    seat.slot.grant(77, seat.slot.generation, 0)
    run(seat, 5)
    seat.vacate()
    seat.prepare()
    death = seat.death(CRASHED, oom)
    assert (death.lease, death.task_id, death.seconds) == (0, 0, 0)


def test_kill_is_put_down_to_the_verdict(seat, sent, oom):
    seat.condemn(Cause.LEASE_LOST)
    assert sent == [(PID, signal.SIGKILL), (-PID, signal.SIGKILL)]  # and its programs
    assert seat.death(KILLED, oom).cause is Cause.LEASE_LOST


def test_child_that_ended_before_the_kill_did_so_by_itself(seat, oom):
    seat.condemn(Cause.LEASE_LOST)
    assert seat.death(LEFT, oom).clean
    assert seat.death(signal.SIGSEGV, oom).cause is Cause.SIGNAL


def test_child_that_crashes_as_it_writes_its_last_stacks_was_killed_all_the_same(seat, oom):
    seat.last_looked = True
    assert seat.death(signal.SIGSEGV, oom).cause is Cause.SIGNAL  # there was no verdict
    seat.condemn(Cause.LEASE_LOST)
    assert seat.death(signal.SIGSEGV, oom).cause is Cause.LEASE_LOST


def test_stack_of_an_earlier_run_is_not_told_of_the_run_in_progress(seat, monkeypatch):
    monkeypatch.setattr(seat.slot.stack_file, "read", lambda: "Stack")
    run(seat, 5)
    seat.looked_at = seat.run
    assert seat.box().stack == "Stack"
    run(seat, 6)
    assert seat.box().stack == ""
    monkeypatch.setattr(seat.slot.stack_file, "read", lambda: "Stack\nFatal Python error: x")
    assert seat.box().stack == "Fatal Python error: x"


def test_a_stack_is_kept_until_the_next_one_of_the_same_run_is_written(seat, monkeypatch):
    written = ["first"]
    monkeypatch.setattr(seat.slot.stack_file, "read", lambda: written[0])
    run(seat, 5)
    seat.note_look()
    seat.note_look()
    written[0] = ""  # it was asked again, and died
    assert seat.box().stack == "first"
    run(seat, 6)
    seat.note_look()
    assert seat.box().stack == ""


def test_growth_is_asked_about_once_for_each_step(seat, now, monkeypatch):
    kib, asked = [100_000], []
    monkeypatch.setattr(kernel, "resident_kib", lambda pid: kib[0])
    monkeypatch.setattr(seat.slot.stack_file, "ask", lambda pid, what: asked.append(kib[0]))

    def sample(amount):
        kib[0] = amount
        now[0] += 1
        seat.sample_memory(clock.now())

    sample(100_000)
    run(seat, 5)
    for amount in (100_000, 100_000 + GROWTH - 1, 100_000 + GROWTH, 100_001 + GROWTH, 50_000):
        sample(amount)
    assert asked == [100_000 + GROWTH]
    sample(50_000 + GROWTH)  # it has fallen, and grows again
    assert asked == [100_000 + GROWTH, 50_000 + GROWTH]
    sample(0)  # it is dead
    assert [each for _, each in seat.slot.memory.samples()][-1] == 50_000 + GROWTH


def test_verdict_is_not_passed_on_to_the_next_child(seat, oom):
    seat.condemn(Cause.LEASE_LOST)
    seat.vacate()
    seat.prepare()
    assert seat.death(KILLED, oom).cause is Cause.SIGNAL


def test_run_that_follows_the_one_past_its_limit_is_not_blamed(seat, now, oom):
    run(seat, 5)
    condemned = seat.run
    seat.condemn_for(condemned, Cause.TIME_LIMIT)
    assert seat.death(KILLED, oom).cause is Cause.TIME_LIMIT
    now[0] += 1
    run(seat, 5)  # the same task again, or another one
    assert seat.death(KILLED, oom).cause is Cause.STOPPED
    run(seat, 6, since=condemned[1])
    assert seat.death(KILLED, oom).cause is Cause.STOPPED


def test_each_run_is_warned_once_of_a_deadline(seat, now, sent):
    run(seat, 5)
    seat.warn(seat.run, 7)
    seat.warn(seat.run, 7)
    seat.warn(seat.run, 8)  # another of its deadlines
    now[0] += 1
    run(seat, 5)
    seat.warn(seat.run, 8)
    assert sent == [(PID, signal.SIGUSR1)] * 3


def test_patience_counts_from_the_last_beat_or_the_fork(seat, now):
    now[0] += 3
    assert not seat.out_of_patience(clock.now())
    now[0] += 0.1
    assert seat.out_of_patience(clock.now())
    seat.slot.beat = clock.now()
    assert not seat.out_of_patience(clock.now())


def test_patience_with_a_child_that_does_not_beat_lasts_for_its_boot(now, sent):
    role = Role(name="worker", run=lambda child: None, scalable=True)
    seat = Seat(role, 1, Scoreboard(1).slots[0])
    seat.prepare()
    now[0] += role.boot_patience
    assert not seat.out_of_patience(clock.now())
    now[0] += 1
    assert seat.out_of_patience(clock.now())
    seat.slot.state = State.IDLE
    assert not seat.out_of_patience(clock.now())


@pytest.mark.parametrize("excuse", ["worked", "asked", "verdict", "old"])
def test_death_outside_a_crash_loop_ends_the_waiting(seat, now, excuse):
    for wait in (0.0, 0.1):
        assert seat.vacate() == pytest.approx(wait, rel=0.11)
        seat.prepare()
        seat.occupy(PID)
    if excuse == "worked":
        seat.slot.worked = seat.slot.generation
    elif excuse == "asked":
        seat.ask_to_stop()
    elif excuse == "verdict":
        seat.condemn(Cause.UNRESPONSIVE)
    else:
        now[0] += STABLE + 0.1
    assert seat.vacate() == 0
    seat.prepare()
    assert seat.vacate() == 0  # the first of a new row
    seat.prepare()
    assert seat.vacate() > 0
    assert seat.due == pytest.approx(clock.nanoseconds(now[0] + 0.1), abs=1e7)


def test_vacant_seat_shows_nobody(seat):
    run(seat, 5)
    seat.vacate()
    slot = seat.slot
    assert (seat.pid, slot.pid, slot.state, slot.task_id) == (0, 0, State.EMPTY, 0)


def test_refused_forks_wait_longer_until_one_succeeds(seat, now):
    seat.vacate()
    seat.prepare()
    assert seat.refuse() == 0
    assert seat.slot.state == State.EMPTY
    assert 0.9 <= seat.refuse() <= 1
    assert seat.due > clock.now()
    seat.occupy(PID)
    assert seat.refuse() == 0


def test_signal_that_may_not_be_sent_is_said(seat, monkeypatch, caplog):
    def kill(pid, number):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", kill)
    seat.ask_to_stop()
    assert "cannot send SIGTERM to worker 1: [Errno 1] Operation not permitted" in caplog.text
    assert seat.slot.asked == seat.slot.generation
