"""When a pool gets a worker more, and when one less."""

from __future__ import annotations

import signal

import pytest

from pool import State, clock
from taskq.conf import Settings
from taskq.keeper import autoscaler
from taskq.keeper.autoscaler import EVERY, KEPT_IDLE, Autoscaler
from taskq.pool_context import Bounds, PoolContext
from taskq.store.refusals import NEVER
from taskq.task.queues import Queues
from tests.project.lab import tasks
from tests.taskq.conftest import keeper_of_no_pool

pytestmark = pytest.mark.django_db(transaction=True)


class Scene:
    """A pool between two and four workers, whose supervisor does at once what it is asked to."""

    def __init__(self, keeper, monkeypatch, queues=""):
        self.scoreboard, self.asked, self.now = keeper.scoreboard, [], clock.now()
        context = PoolContext(
            settings=Settings(),
            queues=Queues.parse(queues),
            alias="default",
            autoscale=Bounds(2, 4),
        )
        self.scaler = Autoscaler(keeper.child, context, keeper.session)
        monkeypatch.setattr(autoscaler.os, "kill", lambda pid, number: self._do(number))
        monkeypatch.setattr(autoscaler.clock, "now", lambda: self.now)
        self.workers(State.BUSY, State.BUSY)

    def _do(self, number):
        self.asked.append(signal.Signals(number).name)
        self.scoreboard.strength += 1 if number == signal.SIGTTIN else -1

    def workers(self, *states):
        """These are up, and the pool should have as many."""
        for slot in self.scoreboard.slots[1:]:
            slot.state, slot.pid = State.EMPTY, 0
        for slot, state in zip(self.scoreboard.slots[1:], states, strict=False):
            slot.state, slot.pid, slot.generation = state, 1, 1
        self.scoreboard.strength = len(states)

    def look(self, times=1, *, seconds=EVERY):
        """What was asked for, in so many looks."""
        self.asked.clear()
        for _ in range(times):
            self.now += clock.nanoseconds(seconds)
            self.scaler.look()
        return self.asked


@pytest.fixture
def keeper():
    keeper = keeper_of_no_pool(Settings(), workers=4)
    yield keeper
    keeper.session.close()


@pytest.fixture
def scene(keeper, monkeypatch):
    return Scene(keeper, monkeypatch)


def test_all_are_busy_and_work_waits(scene):
    tasks.quick.delay("a")
    assert scene.look(1) == []  # it may be for a moment
    assert scene.look(1) == ["SIGTTIN"]
    assert scene.look(3) == []  # the third worker is not up yet
    scene.workers(State.BUSY, State.BUSY, State.BUSY)
    assert scene.look(2) == ["SIGTTIN"]
    scene.workers(*[State.BUSY] * 4)
    assert scene.look(5) == []  # not above the most


def test_nothing_waits(scene):
    tasks.quick.apply_async(("a",), countdown=60)
    assert scene.look(5) == []


def test_what_waits_is_of_a_queue_that_is_not_served(keeper, monkeypatch):
    scene = Scene(keeper, monkeypatch, queues="*,*-mail")
    tasks.quick.apply_async(("a",), queue="mail")
    assert scene.look(5) == []
    tasks.quick.apply_async(("a",), queue="fax")
    assert scene.look(1) == ["SIGTTIN"]


def test_one_worker_is_idle_or_not_up(scene):
    tasks.quick.delay("a")
    scene.workers(State.BUSY, State.IDLE)
    assert scene.look(5) == []
    scene.workers(State.BUSY, State.BOOTING)
    assert scene.look(5) == []


def test_a_process_that_takes_no_part_is_no_worker(scene):
    tasks.quick.delay("a")
    scene.workers(State.BUSY, State.BUSY, State.ASIDE)
    scene.scoreboard.strength = 2
    assert scene.look(2) == ["SIGTTIN"]


def test_some_worker_was_idle_for_long(scene):
    scene.workers(State.BUSY, State.IDLE, State.IDLE, State.BUSY)
    assert scene.look(1) == []
    assert scene.look(1, seconds=KEPT_IDLE - 1) == []
    assert scene.look(1) == ["SIGTTOU"]
    assert scene.look(1) == ["SIGTTOU"]
    assert scene.look(5) == []  # not below the least


def test_idleness_counts_from_its_beginning(scene):
    scene.workers(State.IDLE, State.IDLE, State.IDLE)
    assert scene.look(1) == []
    scene.workers(State.BUSY, State.BUSY, State.BUSY)
    assert scene.look(1, seconds=KEPT_IDLE) == []
    scene.workers(State.IDLE, State.BUSY, State.BUSY)
    assert scene.look(1) == []
    assert scene.look(1, seconds=KEPT_IDLE) == ["SIGTTOU"]


def test_it_looks_no_more_often_than_it_says(scene):
    tasks.quick.delay("a")
    assert scene.look(9, seconds=EVERY / 10) == []


def test_a_pool_without_bounds_is_never_looked_at(keeper):
    assert keeper.autoscaler.due == NEVER
