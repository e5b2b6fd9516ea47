"""What waits behind a run that takes long is given back by the keeper."""

import datetime
import os
import select
import signal
from collections import Counter

import psutil
import pytest
from django.db import connection, transaction
from django.utils import timezone

from pool import Others, clock
from pool import State as Is
from stress.rig.pools import wait_until
from taskq.keeper import overrun
from taskq.keeper.overrun import CALM, OverrunWatch
from taskq.models import State, Task, Worker
from taskq.pool_context import PoolContext
from taskq.store import endings
from taskq.store.leases import LeaseStore
from taskq.worker.recall import Recall
from tests.project.lab import tasks
from tests.taskq.conftest import child_of_no_pool, worker_of_no_pool
from tests.taskq.leasing import QUICK, send


@pytest.fixture
def now(monkeypatch):
    """The time as a test steps it, in seconds."""

    class Clock:
        seconds = 1_000.0

        def __call__(self):
            return clock.nanoseconds(self.seconds)

    stepped = Clock()
    monkeypatch.setattr(clock, "now", stepped)
    return stepped


@pytest.fixture
def slot(worker, held, now):
    """Its slot: the second of its runs has just begun."""
    child = child_of_no_pool("keeper")
    slot = child.scoreboard.slots[1]
    slot.pid, slot.state = os.getpid(), Is.BUSY
    slot.grant(worker.id, slot.generation, 2**62)
    slot.finish_log.start(worker.id)
    slot.finish_log.add(*held[0])
    slot.child = child
    begin(slot, held[1], now)
    slot.others = Others.WAIT
    return slot


def begin(slot, run, now):
    slot.begin(*run, "a task", since=now(), soft=0, hard=0)


@pytest.fixture
def look(slot, now):
    """A look of the keeper, some seconds after the last."""
    keeper = slot.child
    context = worker_of_no_pool(0).context
    watch = OverrunWatch(keeper, context, context.session("keeper"))

    def later(seconds):
        now.seconds += seconds
        watch.look()

    yield later
    watch._session.close()


def waiting():
    return set(Task.objects.filter(state=State.READY).values_list("pk", flat=True))


def running():
    return set(Task.objects.filter(state=State.RUNNING).values_list("pk", flat=True))


def ids(runs):
    return {id for id, _ in runs}


OVER = overrun.OVERRUN + 0.001


def test_what_waits_is_given_back_and_what_is_done_is_written(look, held):
    look(OVER)
    assert not waiting()  # recalled, and no more
    look(overrun.SETTLE + 0.001)
    assert waiting() == ids(held[2:])
    assert running() == {held[1][0]}


def test_what_waits_behind_a_short_run_stays_there_while_nobody_is_idle(look, slot, held):
    slot.others = Others.WAIT_UNLESS_IDLE
    look(OVER)
    look(overrun.SETTLE + 0.001)
    assert not waiting()


def test_who_is_idle_is_asked_once_a_look_for_all_workers(look, slot, monkeypatch):
    asked = []
    monkeypatch.setattr(LeaseStore, "another_listens", lambda self, pool: asked.append(pool))
    other = slot.child.slot  # any process of the pool will do
    other.pid = os.getpid()
    other.grant(7, other.generation, 2**62)
    slot.others = other.others = Others.WAIT_UNLESS_IDLE
    look(OVER)
    assert len(asked) == 1


@pytest.mark.parametrize("who", ["a worker", "another pool", "the pool stops"])
def test_it_is_given_back_once_somebody_is_idle(look, slot, held, monkeypatch, who):
    slot.others = Others.WAIT_UNLESS_IDLE
    look(OVER)
    match who:
        case "a worker":
            monkeypatch.setattr(PoolContext, "sleepers", lambda *args: iter([slot]))
        case "another pool":
            soon = timezone.now() + datetime.timedelta(seconds=60)
            Worker.objects.create(
                pool="b:1", name="keeper", host="b", pid=1, listens=True, lease_expires_at=soon
            )
        case "the pool stops":
            slot.asked = slot.generation
    look(overrun.LOOK)
    look(overrun.SETTLE + 0.001)
    assert waiting() == ids(held[2:])


def test_a_run_that_takes_no_longer_than_it_may_keeps_its_neighbors(look, slot, held, now):
    look(0.045)
    begin(slot, held[2], now)
    look(0.045)
    assert not slot.recalled
    assert not waiting()


def test_a_run_that_ends_before_the_recall_has_settled_keeps_its_neighbors(look, slot, held, now):
    """They are its worker's to give back, as it hears of the recall when it begins the next."""
    recall = Recall(slot)
    look(OVER)
    begin(slot, held[2], now)
    look(overrun.SETTLE + 0.001)
    assert not waiting()
    assert recall.pending
    recall.acknowledge()
    assert not recall.pending


def test_a_claim_that_is_made_after_a_recall_is_not_concerned(look, slot, now):
    recall = Recall(slot)
    look(OVER)
    recall.before_claim()
    assert not recall.pending
    slot.others = Others.WAIT  # as of the batch that came in after that
    look(overrun.SETTLE + 0.001)
    assert not waiting()


def test_a_batch_that_was_long_in_coming_is_not_given_back_for_that(look, slot, now):
    Recall(slot).before_claim()
    look(1.0)
    assert not slot.recalled
    assert not waiting()


def test_what_a_claim_on_its_way_brings_is_given_back_later(look, worker, held):
    look(OVER)
    look(overrun.SETTLE + 0.001)
    more = [send(key) for key in range(3)]
    Task.objects.filter(pk__in=ids(held)).delete()
    worker.claim(3, QUICK)
    look(1.0)
    assert waiting() == set(more)


def test_a_run_whose_end_takes_long_keeps_nobody_waiting_either(look, slot, held):
    """What it was is in the log by then."""
    slot.finish_log.add(*held[1])
    slot.task_id = 0
    look(OVER)
    look(overrun.SETTLE + 0.001)
    assert waiting() == ids(held[2:])
    assert not running()


@pytest.mark.parametrize("known", [True, False])
def test_a_worker_that_has_died_is_left_to_its_burial(look, slot, held, known):
    """Nobody may give back uncharged what it ran."""
    look(OVER)
    if known:
        slot.pid = 0
        slot.task_id = 0
    else:
        slot.generation += 1
        slot.task_id = 0
    look(overrun.SETTLE + 0.001)
    assert not waiting()


@pytest.mark.postgresql
def test_what_somebody_has_locked_is_passed_over(look, held):
    """By a cancel in a transaction that is open, say: the keeper waits for nobody."""
    look(OVER)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM taskq_task WHERE id = %s FOR UPDATE", [held[2][0]])
        look(overrun.SETTLE + 0.001)
    assert waiting() == ids(held[3:])
    look(1.0)
    assert waiting() == ids(held[2:])


def test_the_worker_says_of_nothing_that_the_keeper_wrote_that_it_was_not_its_own(
    worker, held, caplog
):
    one = worker_of_no_pool(worker.id)
    one.batch.hold_under(worker.id)
    for run in held[:2]:
        one.batch.end_later(endings.finish(run))
    worker.db.end(worker.id, map(endings.finish, held[:2]))
    one.slot.finish_log.settle()
    one.batch.end_later(endings.finish(held[2]))
    one.writer.write_ended()
    assert "no longer held by this worker" not in caplog.text
    one.session.close()


@pytest.mark.parametrize("by_keeper", [True, False])
def test_what_the_keeper_wrote_first_is_told_as_the_workers_own(
    worker, held, caplog, monkeypatch, by_keeper
):
    """On a slow disk: the worker is about to write the end of a run, of which somebody hears."""
    one = worker_of_no_pool(worker.id)
    one.batch.hold_under(worker.id)
    ending, later = endings.finish(held[0]), endings.finish(held[1])
    end = one.writer._end

    def end_late(db, ending):
        if by_keeper:
            one.slot.finish_log.settle()
        worker.db.end(worker.id, [ending])
        return end(db, ending)

    one.batch.end_later(ending)
    monkeypatch.setattr(one.writer, "_end", end_late)
    assert one.writer.end_newest(ending, "a task") == by_keeper
    assert ("no longer held by this worker" in caplog.text) != by_keeper
    # It stands in the place of no other.
    caplog.clear()
    one.batch.end_later(later)
    worker.db.end(worker.id, [later])
    one.writer.write_ended()
    assert caplog.text.count("no longer held by this worker") == 1
    one.session.close()


def test_looks_are_taken_while_somebody_has_a_batch(look, slot):
    keeper = slot.child.slot
    look(0.001)
    assert keeper.watches
    slot.others = Others.NONE
    look(CALM / 2)
    assert keeper.watches
    look(CALM)
    assert not keeper.watches
    slot.others = Others.WAIT
    look(0.001)  # woken for it
    assert keeper.watches


def test_who_has_a_batch_wakes_a_keeper_that_does_not_look(worker):
    one = worker_of_no_pool(worker.id)
    keeper = one.child.scoreboard.slots[0]
    for watches in (1, 0):
        keeper.watches = watches
        one.claimer._say_that_others_wait()
        woken = bool(select.select([keeper.wake_fd()], [], [], 0)[0])
        assert woken == (not watches)
        keeper.clear_wakes()
    assert one.slot.others
    one.session.close()


# Real pools


def start_and_warm(start_pool, drained, task, *options, **environment):
    pool = start_pool(*options, **environment)
    task.delay_many([(f"warm {n}", 0) for n in range(50)])
    drained()
    return pool


def test_what_waits_behind_a_run_that_holds_the_gil_runs_elsewhere(start_pool, runs, drained):
    """No thread of the worker can do anything for a minute."""
    pool = start_and_warm(start_pool, drained, tasks.hold_gil, "-c", 2)
    keys = [f"{n}" for n in range(120)]
    tasks.hold_gil.delay_many([(key, 60 if key == "40" else 0) for key in keys])
    others = set(keys) - {"40"}
    wait_until(lambda: {record["key"] for record in runs("end")} >= others)
    assert not runs("end", "40")
    (long,) = runs("start", "40")
    # It is killed now: of what it had done, nothing runs again.
    os.kill(long["pid"], signal.SIGKILL)
    wait_until(lambda: len(runs("start", "40")) == 2)
    times = Counter(record["key"] for record in runs("start"))
    assert {key for key in times if times[key] > 1} == {"40"}
    pool.signal(signal.SIGQUIT)
    assert pool.wait_exit() == 0


def test_what_waits_behind_a_worker_that_is_stopped_runs_elsewhere(start_pool, runs, drained):
    """SIGSTOP; when it goes on, it starts nothing of that."""
    start_and_warm(start_pool, drained, tasks.nap, "-c", 2)
    keys = [f"{n}" for n in range(60)]
    tasks.nap.delay_many([(key, 5 if key == "20" else 0.001) for key in keys])
    (run,) = wait_until(lambda: runs("start", "20"))
    process = psutil.Process(run["pid"])
    process.suspend()
    wait_until(lambda: {record["key"] for record in runs("end")} >= set(keys) - {"20"})
    process.resume()
    drained()
    assert set(Counter(record["key"] for record in runs("start")).values()) == {1}


@pytest.mark.parametrize("workers", [1, 3])
def test_no_task_is_given_back_and_started_as_well(start_pool, runs, drained, workers):
    """A race, some hundreds of times over: runs last about as long as the keeper's patience."""
    start_and_warm(
        start_pool,
        drained,
        tasks.nap,
        *("-c", workers),
        DJANGO_SETTINGS_MODULE="tests.project.hasty",
    )
    keys = [f"{n}" for n in range(1500)]
    lengths = (0.0, 0.0005, 0.0, 0.002, 0.0035, 0.0, 0.0045, 0.001)
    tasks.nap.delay_many([(key, lengths[n % len(lengths)]) for n, key in enumerate(keys)])
    drained()
    times = Counter(record["key"] for record in runs("start"))
    assert {key for key in times if times[key] > 1} == set()
    assert times.keys() >= set(keys)
    attempts = Counter(record["key"] for record in runs("end"))
    assert attempts == times
