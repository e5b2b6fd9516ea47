"""How far a task is: said in shared memory, written by the keeper, seen by anyone."""

import signal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from pool import Scoreboard, clock
from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.celery import AsyncResult, current_task
from taskq.keeper.progress import EVERY, Reporter
from taskq.models import Task
from taskq.task.progress import Progress
from taskq.task.request import current_request, is_stopping, set_progress
from tests.project.lab import limits, tasks

# The value


@pytest.mark.parametrize(
    ("done", "total", "shown", "percent"),
    [(0, None, "0", None), (5, 20, "5 of 20 (25 %)", 25), (7, 7, "7 of 7 (100 %)", 100)],
)
def test_progress_for_a_person(done, total, shown, percent):
    progress = Progress.checked(done, total)
    assert (str(progress), progress.percent) == (shown, percent)
    assert Progress.read(progress.stored(3), 3) == progress


@pytest.mark.parametrize(
    ("done", "total", "error", "text"),
    [
        (0.5, 1, TypeError, "done is 0.5: give a whole number, such as rows or percents"),
        ("1", None, TypeError, "done is '1'"),
        (True, None, TypeError, "done is True"),
        (1, 2.0, TypeError, "total is 2.0"),
        (-1, None, ValueError, "done is -1: give a whole number from 0"),
        (2**63, None, ValueError, "done is"),
    ],
)
def test_what_is_no_progress_is_refused_wherever_it_is_said(done, total, error, text):
    with pytest.raises(error, match=text):
        set_progress(done, total)


def test_outside_of_a_worker_it_does_nothing():
    set_progress(1, 2)
    assert limits.count.set_progress(1) is None
    assert not is_stopping()
    assert not limits.count.is_stopping()
    assert current_request() is None
    assert not current_task
    with pytest.raises(AttributeError, match=r"no task of taskq\.celery runs here"):
        _ = current_task.request


# The row


def at_work(worker, task):
    """The scoreboard of a pool whose only worker runs this, and what writes its progress."""
    scoreboard = Scoreboard(1)
    (slot,) = scoreboard.slots
    slot.pid, slot.generation = 1, 1
    slot.grant(worker.id, 1, clock.now() + clock.nanoseconds(30))
    slot.begin(task.id, task.attempt, task.name, clock.now(), 0, 0)
    return scoreboard, Reporter(scoreboard)


def test_progress_is_written_only_for_the_run_that_holds_the_task(worker, new_worker):
    result = tasks.quick.delay("a")
    task = worker.claim_one()
    db, other = worker.db, new_worker()

    def write(worker, attempt, done):
        db.runs.set_progress([(worker.id, (task.id, attempt), Progress(done, 10))])

    write(worker, task.attempt, 1)
    assert result.progress == Progress(1, 10)
    write(other, task.attempt, 2)
    write(worker, task.attempt + 1, 3)
    assert result.progress == Progress(1, 10)
    # The next run has said nothing yet, whatever the last one said.
    db.give_back(worker.id, [task.run])
    assert other.claim_one().attempt == task.attempt + 1
    assert result.progress is None
    write(worker, task.attempt, 9)
    assert result.progress is None


@pytest.mark.postgresql
def test_the_keeper_waits_for_nobody_who_has_locked_the_task(worker):
    """A cancel in a transaction that takes its time, say: it would hold up renewals."""
    result = tasks.quick.delay("a")
    task = worker.claim_one()
    scoreboard, reporter = at_work(worker, task)
    scoreboard.slots[0].set_progress(1, 9)
    with transaction.atomic():
        Task.objects.select_for_update().get()
        reporter.look(worker.db.runs)
        assert result.progress is None
    wait_until(lambda: reporter.look(worker.db.runs) or result.progress == Progress(1, 9))


# In a pool


def test_what_a_task_says_last_is_seen_within_a_second_or_so(start_pool, runs):
    pool = start_pool("-c", 1)
    result = limits.count.delay("a", list(range(101)), "wait")
    wait_until(lambda: result.progress == Progress(100, 100))
    assert result.status == "STARTED"
    assert result.info == {"done": 100, "total": 100}
    pool.signal(signal.SIGUSR1)
    pool.wait_for_log("100 of 100 done")
    assert result.cancel()
    wait_until(lambda: result.status == "REVOKED")
    assert result.progress == Progress(100, 100)


def test_a_task_that_fails_at_once_leaves_how_far_it_came(start_pool, runs):
    start_pool("-c", 1)
    result = limits.count.delay("a", [3, 40], "fail")
    wait_until(result.failed)
    assert result.progress == Progress(40, 100)
    assert Task.objects.get().progress is not None


def test_it_is_gone_with_a_task_that_is_done(start_pool):
    start_pool("-c", 1)
    result = limits.count.delay("a", [3])
    assert result.get(60) is None
    assert result.progress is None
    assert result.info is None


def test_it_is_seen_while_the_tasks_own_transaction_is_open(start_pool, runs):
    start_pool("-c", 1)
    if connection.vendor == "sqlite":
        pytest.skip("an open transaction that has written holds the only write lock")
    result = limits.count_in_transaction.delay("a")
    wait_until(lambda: result.progress == Progress(7))
    assert not Order.objects.exists()


def test_much_that_is_said_is_written_once_a_second(worker, monkeypatch):
    now = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: now[0])

    def look_later(seconds):
        now[0] += clock.nanoseconds(seconds)
        reporter.look(worker.db.runs)

    result = tasks.quick.delay("a")
    task = worker.claim_one()
    scoreboard, reporter = at_work(worker, task)
    (slot,) = scoreboard.slots
    reporter.look(worker.db.runs)
    idle = reporter.due
    slot.set_progress(1, 9)
    look_later(EVERY)
    slot.set_progress(2, 9)
    look_later(0.9 * EVERY)
    assert result.progress == Progress(1, 9)
    assert reporter.due == clock.now() + clock.nanoseconds(0.1 * EVERY) < idle
    look_later(0.1 * EVERY)
    assert result.progress == Progress(2, 9)
    # Once the run is over nothing is left to look for.
    slot.task_id = 0
    look_later(EVERY)
    assert reporter.due == idle


def test_a_long_task_ends_when_its_pool_drains_and_goes_on_later(start_pool, runs):
    pool = start_pool("-c", 1)
    limits.checkpoint.delay("a")
    wait_until(lambda: runs("start", "a"))
    assert pool.stop() == 0
    assert runs("stopping", "a")
    assert Task.objects.pending().get().retries == 1
    start_pool("-c", 1)
    wait_until(lambda: runs("end", "a"))


def test_a_task_that_asks_whether_to_stop_is_told_of_a_cancel(start_pool, runs):
    start_pool("-c", 1)
    result = limits.checkpoint.delay("a")
    wait_until(lambda: runs("start", "a"))
    result.cancel()
    wait_until(lambda: result.status == "REVOKED")
    assert len(runs("start", "a")) == 1


# What a run knows of itself


def test_a_task_knows_its_own_run(start_pool, runs):
    start_pool("-c", 1)
    result = tasks.tell.apply_async(("a", True), queue="mail", headers={"trace": "7", "n": [1]})
    first, second = wait_until(lambda: len(runs("told", "a")) == 2 and runs("told", "a"))
    assert (first["id"], first["queue"]) == (str(result.id), "mail")
    assert [each["retries"] for each in (first, second)] == [0, 1]
    assert [each["attempt"] for each in (first, second)] == [1, 2]
    assert first["headers"] == second["headers"] == {"trace": "7", "n": [1]}
    assert first["eta"] < second["eta"]
    assert (first["current"], first["same"]) == (tasks.tell.name, True)


@pytest.mark.django_db
def test_who_says_nothing_writes_nothing():
    with CaptureQueriesContext(connection) as queries:
        result = tasks.quick.delay("a")
    assert len(queries) == 1
    row = Task.objects.get()
    assert (row.progress, row.payload) == (None, '[["a"],{}]')
    assert AsyncResult(result.id).progress is None
