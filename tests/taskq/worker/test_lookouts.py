"""Who looks for work, who leaves it to another, and whom the keeper wakes: moved by hand."""

import select
import signal
import time

import pytest

from pool import Slot, clock
from pool import State as SlotState
from taskq import pool_context
from taskq.conf import Settings
from taskq.models import State, Task
from taskq.pool_context import KEEPER, LOOK_TRUSTED, PoolContext
from taskq.sql.postgresql import claims as postgresql_claims
from taskq.sql.postgresql import tasks as postgresql_tasks
from taskq.sql.postgresql.own_connection import Connection
from taskq.store.claims import Lane
from taskq.store.tasks import TaskStore
from taskq.worker import known_lanes, sleeper
from tests.project.lab import tasks
from tests.taskq.conftest import keeper_of_no_pool, worker_of_no_pool


@pytest.fixture
def second(worker, monkeypatch):
    """The second worker of a pool, which has just claimed and run all there was."""
    second = worker_of_no_pool(worker.id, number=2)
    monkeypatch.setattr(second.child, "wait", lambda *args: False)
    second.pace.note(tasks.noop.name, 0.0001, 0.0001)
    monkeypatch.setattr(known_lanes, "SLOW_LOOK", 600)  # on a busy machine, too
    monkeypatch.setattr(sleeper, "REST", 600)  # it is not over when we come to look
    monkeypatch.setattr(pool_context, "LOOK_TRUSTED", 600)
    tasks.noop.delay()
    second.perform(second.fetch())
    yield second
    second.session.close()


def test_of_workers_that_wait_for_tasks_to_come_in_all_but_one_sleep(second):
    """Each would get a few of them, at a commit each."""
    first = second.child.scoreboard.slots[1]
    first.look_began = clock.now()
    tasks.noop.delay()
    assert second.fetch() is None
    assert second.slot.state == SlotState.IDLE
    assert second.batch.empty  # what it had finished is written
    assert Task.objects.get().state == State.READY


def test_who_looks_for_long_is_not_relied_on(second):
    first = second.child.scoreboard.slots[1]
    first.look_began = clock.now() - clock.nanoseconds(601)
    tasks.noop.delay()
    assert second.fetch() is not None


def test_a_worker_that_looks_says_so_until_it_has_something(second, monkeypatch):
    slots, said = [second.slot], []
    claim, wake_one = second.claimer.claim_at, PoolContext.wake_one

    def claimed(place):
        said.append(second.context.somebody_looks(slots))
        return claim(place)

    def woken(context, scoreboard):
        said.append(second.context.somebody_looks(slots))
        wake_one(context, scoreboard)

    monkeypatch.setattr(second.claimer, "claim_at", claimed)
    monkeypatch.setattr(PoolContext, "wake_one", woken)
    tasks.nap.delay("not known to be quick", 0)  # for what is behind it another is woken
    assert second.fetch() is not None
    assert said == [True, False]


def test_who_left_it_to_another_looks_when_that_one_has_not(second, monkeypatch):
    """It claims too early, or dies, or has only slow ones in the end: no wake-up comes of that."""
    first, waits = second.child.scoreboard.slots[1], []

    def wait(seconds, *_):
        waits.append(seconds)
        time.sleep(seconds if seconds < 1 else 0)
        return False

    monkeypatch.setattr(second.child, "wait", wait)
    first.look_began = clock.now()
    assert second.fetch() is None
    assert waits == [LOOK_TRUSTED]
    first.look_ended = clock.now()
    monkeypatch.setattr(sleeper, "REST", 0)
    second.sleeper._rest_until = 0
    tasks.noop.delay()
    assert second.fetch() is not None


def test_who_left_it_to_another_sleeps_on_when_that_one_looks(second, monkeypatch):
    first, waits = second.child.scoreboard.slots[1], []

    def wait(seconds, *_):
        waits.append(seconds)
        time.sleep(seconds if seconds < 1 else 0)
        first.look_began = clock.now()
        return False

    monkeypatch.setattr(second.child, "wait", wait)
    first.look_began = clock.now()
    assert second.fetch() is None
    assert waits == [LOOK_TRUSTED, sleeper.SLEEP]


@pytest.mark.postgresql
def test_while_a_worker_looks_in_a_crowd_the_keeper_asks_nothing(transactional_db, monkeypatch):
    keeper = keeper_of_no_pool(Settings())
    worker = keeper.scoreboard.slots[1]
    woken: list[int] = []
    asked: list[object] = []
    monkeypatch.setattr(Slot, "wake", lambda slot: woken.append(slot.index))
    lanes = TaskStore.lanes
    monkeypatch.setattr(
        TaskStore, "lanes", lambda leases, queues: asked.append(queues) or lanes(leases, queues)
    )
    tasks.noop.delay()

    def wakes(*, looks, open):
        woken.clear()
        asked.clear()
        keeper.dispatcher.due = worker.look_ended = 0
        worker.look_began = clock.now() if looks else 0
        keeper.listener.open = open
        keeper.dispatcher.dispatch()
        return woken

    assert wakes(looks=False, open=False) == [1]
    assert wakes(looks=True, open=True) == [1]
    assert asked
    assert wakes(looks=True, open=False) == []
    assert not asked
    keeper.session.close()


def test_where_who_was_woken_does_not_claim_each_is_woken_in_its_turn(
    transactional_db, monkeypatch
):
    """One that hangs between two tasks, in a receiver say."""
    keeper = keeper_of_no_pool(Settings(listen=False), workers=3)
    leaving = keeper.scoreboard.slots[2]
    leaving.asked = leaving.generation
    woken = []
    monkeypatch.setattr(Slot, "wake", lambda slot: woken.append(slot.index))
    tasks.noop.delay()
    for _ in range(3):
        keeper.dispatcher.due = 0
        keeper.dispatcher.dispatch()
    assert woken == [1, 3, 1]
    keeper.session.close()


def test_one_look_that_was_held_up_blinds_nobody_for_long(transactional_db, monkeypatch):
    """A twentieth of the time, or a database that hung for 3 s would cost a minute."""
    keeper = keeper_of_no_pool(Settings(poll=0.2, listen=False))
    monkeypatch.setattr(TaskStore, "lanes", lambda *_: time.sleep(0.1) or [])
    began = clock.now()
    keeper.dispatcher.dispatch()
    assert began < keeper.dispatcher.due <= clock.now() + clock.nanoseconds(0.2)
    keeper.session.close()


def test_nor_does_one_of_a_worker(second, monkeypatch):
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    lane = Lane("default", 0, 0.0, "-infinity", 0)
    second.claimer.lanes.note(now - clock.nanoseconds(10), [lane])
    assert (second.claimer.lanes._fresh_until - clock.now()) / clock.SECOND < 1.5
    assert second.claimer.lanes.fresh() == [lane]


def fetch_with_rest(second, monkeypatch, *, during=lambda: None, woken=False):
    """What it claims next. During its rest this is done, and a wake-up comes or does not. Its
    state in the rest, and the statements that follow."""
    states, statements = [], []
    batch = Connection.batch

    def wait(seconds, *_):
        states.append(second.slot.state)
        during()
        return woken

    def recorded(connection, *calls):
        statements.extend(statement for statement, _ in calls)
        return batch(connection, *calls)

    monkeypatch.setattr(second.child, "wait", wait)
    monkeypatch.setattr(Connection, "batch", recorded)
    return second.fetch(), states, statements


@pytest.mark.postgresql
def test_what_came_one_by_one_while_it_rested_is_claimed_together(second, monkeypatch):
    def three_come():
        for _ in range(3):
            tasks.noop.delay()

    task, states, _ = fetch_with_rest(second, monkeypatch, during=three_come)
    assert task is not None
    assert second.batch.waiting == 2
    assert states == [SlotState.BUSY]  # others are woken, if anybody is


@pytest.mark.postgresql
def test_while_the_pool_listens_a_wake_up_ends_the_rest(second, monkeypatch):
    """The next task does not wait, nor does it cost a look at the lanes."""
    second.child.scoreboard.slots[KEEPER].listens = 1
    task, states, statements = fetch_with_rest(
        second, monkeypatch, during=tasks.noop.delay, woken=True
    )
    assert task is not None
    assert states == [SlotState.IDLE]  # whoever wakes one finds it
    # Its claim writes what it has finished.
    assert statements == [postgresql_tasks.FINISH, postgresql_claims.CLAIM_FIRST]


@pytest.mark.postgresql
def test_what_woke_it_before_its_claim_does_not_end_the_rest_after_it(second, monkeypatch):
    second.slot.wake()
    fetch_with_rest(second, monkeypatch, during=tasks.noop.delay)
    assert not select.select([second.slot.wake_fd()], [], [], 0)[0]


def test_told_to_stop_while_it_rests_it_claims_no_more(second, monkeypatch):
    waits = []

    def wait(seconds, *_):
        waits.append(seconds)
        second.child._handle_term(signal.SIGTERM, None)
        return False

    monkeypatch.setattr(second.child, "wait", wait)
    tasks.noop.delay()
    assert second.fetch() is None
    assert len(waits) == 1, "it sleeps, though the signal has been"
    assert Task.objects.get().state == State.READY
