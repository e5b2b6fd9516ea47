"""How long a kill waits for the stacks of those that are killed: never beyond a lease."""

import pytest

from pool import Role, Scoreboard, State, clock, last_look
from pool.last_look import PATIENCE
from pool.seat import Seat
from pool.stack_file import Ask
from pool.supervisor import TICK

NOW = 1000 * clock.SECOND


def nanoseconds(seconds):
    return clock.nanoseconds(seconds)


@pytest.fixture
def waited(monkeypatch):
    """The times until which it was waited, with the pids."""
    found = []
    monkeypatch.setattr(
        last_look,
        "wait_for_stacks",
        lambda files, what, until: found.append((until - NOW, [pid for _, pid in files], what)),
    )
    return found


def seat_with(pid, *, late):
    """A child at work whose lease ended so many seconds ago."""
    seat = Seat(Role(name="worker", run=int), 1, Scoreboard(1).slots[0])
    seat.prepare()
    seat.pid, seat.slot.state = pid, State.BUSY
    seat.slot.lease_deadline = NOW - nanoseconds(late)
    return seat


def test_it_waits_for_all_together_and_once(waited):
    last_look.take([seat_with(41, late=-5), seat_with(42, late=-9)], NOW, TICK)
    assert waited == [(nanoseconds(PATIENCE), [41, 42], Ask.ALL)]


def test_a_lease_that_has_ended_is_waited_for_only_until_the_tick_is_over(waited):
    """A deadline may be noticed a tick late. No kill comes later than that."""
    in_time, late = seat_with(41, late=0.01), seat_with(42, late=TICK - 0.02)
    last_look.take([in_time], NOW, TICK)
    last_look.take([in_time, late], NOW, TICK)
    (first, *_), (second, *_) = waited
    assert first == nanoseconds(PATIENCE)
    assert second == pytest.approx(nanoseconds(0.02), rel=0.01)


def test_whoever_is_late_already_is_killed_at_once(waited):
    """As after the machine was frozen."""
    last_look.take([seat_with(41, late=-5), seat_with(42, late=TICK + 0.01)], NOW, TICK)
    assert waited == []
