"""A pool without work: its supervisor looks seldom, and is late for nothing all the same."""

import pytest

from pool import Role, Scoreboard, State, clock
from pool.seats import Seating
from pool.supervisor import REST
from tests.conftest import SLACK, looks_seldom, wait_until


def test_a_supervisor_of_idle_children_looks_seldom(start):
    pool = start("worker=has_a_lease*4")
    wait_until(lambda: looks_seldom(pool.pid))


def test_what_begins_in_a_rest_is_killed_when_it_is_late(start):
    pool = start("worker=has_a_lease", "keeper=notes_deaths_with_a_lease", "--hard", 0.2)
    wait_until(lambda: looks_seldom(pool.pid))
    pool.tell("begin")
    death, *_ = pool.wait_note("death")
    (begun,) = pool.notes("begins", pid=death["pid"])
    assert death["text"].startswith("time limit passed")
    assert 0 <= (death["at"] - begun["hard"]) / clock.SECOND < REST + SLACK


@pytest.fixture
def seats():
    seats = Seating(Scoreboard(2))
    seats.add(Role(name="worker", run=int, scalable=True, patience=10.0))
    for seat in seats:
        seat.prepare()
        seat.occupy(4242)
        seat.slot.state = State.IDLE
        seat.slot.grant(7, seat.slot.generation, clock.now() + clock.nanoseconds(5))
    return seats


def test_a_pool_is_at_rest_for_as_long_as_its_leases_and_patience_last(seats):
    def at_rest(seconds):
        return seats.at_rest(clock.now() + clock.nanoseconds(seconds))

    (seat,) = seats
    assert at_rest(REST)
    assert not at_rest(5.0)
    seat.slot.lease_deadline += clock.nanoseconds(60)
    assert at_rest(5.0)
    assert not at_rest(10.0)


def test_a_child_that_stands_aside_needs_no_lease_for_a_pool_to_be_at_rest(seats):
    (seat,) = seats
    seat.slot.state, seat.slot.lease_generation = State.ASIDE, 0
    assert seats.at_rest(clock.now() + clock.nanoseconds(REST))
    assert not seats.at_rest(clock.now() + clock.nanoseconds(11))


@pytest.mark.parametrize(
    "disturb",
    [
        lambda slot: setattr(slot, "state", State.BUSY),
        lambda slot: setattr(slot, "state", State.BOOTING),
        lambda slot: setattr(slot, "lease_generation", 0),
        lambda slot: setattr(slot, "lease_deadline", 1),
        lambda slot: setattr(slot, "beat", 1),
    ],
    ids=["at work", "booting", "no lease", "a lease that is lost", "hangs"],
)
def test_a_pool_is_not_at_rest_where_one_may_be_late(seats, disturb):
    (seat,) = seats
    disturb(seat.slot)
    assert not seats.at_rest(clock.now() + clock.nanoseconds(REST))
    seat.vacate()
    assert seats.at_rest(clock.now() + clock.nanoseconds(REST))
