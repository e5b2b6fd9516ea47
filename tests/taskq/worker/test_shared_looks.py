"""The workers of a pool share their looks at the lanes."""

from __future__ import annotations

import pytest

from pool import clock
from taskq.pool_context import scoreboard
from taskq.store.claims import Lane
from taskq.worker import known_lanes
from taskq.worker.known_lanes import KnownLanes


def lane(queue, priority=0):
    return Lane(queue, priority, 0.0, "2026-01-01", 1)


@pytest.fixture
def two(monkeypatch):
    """What two workers of a pool know; a look is out of date at once."""
    monkeypatch.setattr(known_lanes, "LOOK_AGAIN", 0.0)
    monkeypatch.setattr(known_lanes, "LOOK_COST", 0)
    first, second = scoreboard(2).slots
    return KnownLanes(first, [second]), KnownLanes(second, [first])


@pytest.fixture
def long(monkeypatch):
    """A look is good for long from now on."""
    return lambda: monkeypatch.setattr(known_lanes, "LOOK_AGAIN", 600.0)


def test_another_worker_that_found_the_same_lane_first_saves_a_look(two, long):
    mine, its = two
    mine.note(clock.now(), [lane("a"), lane("b")])
    assert mine.fresh() == []
    long()
    its.note(clock.now(), [lane("a"), lane("c")])
    assert [each.queue for each in mine.fresh()] == ["a"], "of those behind it nothing was said"
    assert [each.queue for each in its.fresh()] == ["a", "c"]


@pytest.mark.parametrize("found", [[], [lane("b"), lane("a")], [lane("a", 5), lane("a")]])
def test_one_that_found_another_lane_first_does_not(two, long, found):
    mine, its = two
    mine.note(clock.now(), [lane("a")])
    long()
    its.note(clock.now(), found)
    assert mine.fresh() == []


def test_a_look_of_another_worker_is_waited_for(two):
    mine, its = two
    mine.note(clock.now(), [lane("a"), lane("b")])
    its.seek()
    assert [each.queue for each in mine.fresh()] == ["a"]
    its.note(clock.now(), [lane("a")])
    assert mine.fresh() == []


def test_one_that_hangs_is_not_waited_for(two):
    mine, its = two
    mine.note(clock.now(), [lane("a")])
    its.seek()
    its._slot.seeks -= clock.nanoseconds(known_lanes.LOOK_AT_LEAST)
    assert mine.fresh() == []


def test_nor_are_many_one_after_the_other(two):
    mine, its = two
    mine.note(clock.now(), [lane("a")])
    mine._fresh_until -= clock.nanoseconds(known_lanes.LOOK_AT_LEAST)
    its.seek()
    assert mine.fresh() == []


def test_a_lane_that_is_used_up_is_looked_for_again_whatever_others_say(two, long):
    mine, its = two
    mine.note(clock.now(), [lane("a")])
    mine.forget()
    long()
    its.note(clock.now(), [lane("a")])
    assert mine.fresh() == []
