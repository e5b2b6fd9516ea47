"""Rows with values that a column can hold and nobody meant: each fails or is left by itself, and
what stands behind it goes on."""

import os
import signal
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from stress.rig.pools import wait_until
from taskq.conf import Settings
from taskq.models import State, Task
from tests.project.lab import oddities, tasks
from tests.taskq.conftest import keeper_of_no_pool, worker_of_no_pool
from tests.taskq.scheduling import HOUR, back
from tests.taskq.store.bad_rows import insert

INT, SMALL = 2**31 - 1, 2**15 - 1


@pytest.fixture
def behind(runs):
    """Send an innocent task, and wait until it is done."""

    def wait(key="innocent"):
        tasks.quick.delay(key)
        wait_until(lambda: runs("end", key))

    return wait


@pytest.fixture
def new_ticker(transactional_db):
    """The ticker of a pool that has started before."""
    keepers = []

    def make():
        keepers.append(keeper_of_no_pool(Settings()))
        keepers[-1].context.plan.mark_written()
        return keepers[-1].ticker

    yield make
    for keeper in keepers:
        keeper.session.close()


@pytest.mark.parametrize("attempt", [INT, -INT, -INT - 1])
def test_a_task_that_was_claimed_as_often_as_can_be_counted_is_claimed_again(
    start_pool, runs, behind, attempt
):
    pool = start_pool("-c", 1)
    insert(attempt=attempt)
    behind()
    assert runs("end", "a")
    assert "cannot" not in pool.log()


def test_a_task_that_was_retried_as_often_as_can_be_counted_is_retried_again(
    start_pool, runs, behind
):
    pool = start_pool("-c", 1)
    insert(oddities.retry_for_ever.name, retries=INT)
    wait_until(lambda: len(runs("start", "a")) > 1)
    behind()
    assert Task.objects.get(name=oddities.retry_for_ever.name).retries == INT
    assert "could not be written" not in pool.log()


def test_a_task_that_has_lost_as_many_workers_as_can_be_counted_fails(start_pool, runs, behind):
    start_pool("-c", 1)
    insert(tasks.nap.name, '[["a", 60],{}]', losses=SMALL, max_losses=SMALL)
    (start,) = wait_until(lambda: runs("start", "a"))
    os.kill(start["pid"], signal.SIGKILL)
    row = wait_until(lambda: Task.objects.failed().first())
    assert row.losses == SMALL
    behind()


def test_a_tick_that_no_datetime_holds_fails_its_task(start_pool, behind):
    pool = start_pool("-c", 1)
    insert(scheduled_at="infinity")
    behind()
    error = wait_until(lambda: Task.objects.failed().values_list("error", flat=True).first())
    assert "'infinity' is no time that a datetime holds" in error
    assert "does not answer" not in pool.log()


def test_a_task_that_was_unknown_in_the_future_is_not_looked_at_again_at_once(worker):
    """The clock of the database was set back."""
    insert(name="another.deployment.task", unknown_since=timezone.now() + timedelta(seconds=20))
    ours = worker_of_no_pool(worker.id)
    ours.batch.lease = worker.id
    ours.perform(worker.claim_one())
    row = Task.objects.annotate(now=Now()).get()
    assert row.state == State.READY
    assert row.execute_at - row.now > timedelta(seconds=0.8)


@pytest.mark.postgresql
@pytest.mark.parametrize("moment", ["infinity", "-infinity", "0044-03-15 BC"])
def test_a_task_that_was_unknown_at_no_time_stops_nobody(start_pool, behind, moment):
    pool = start_pool("-c", 1)
    insert(name="another.deployment.task", unknown_since=moment)
    behind()
    assert "cannot" not in pool.log()


@pytest.mark.postgresql
def test_a_task_that_was_cancelled_at_no_time_is_taken_back_when_its_worker_dies(
    start_pool, runs, behind
):
    start_pool("-c", 1)
    insert(tasks.nap.name, '[["a", 60],{}]')
    (start,) = wait_until(lambda: runs("start", "a"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE taskq_task SET cancelled_at = 'infinity'")
    os.kill(start["pid"], signal.SIGKILL)
    wait_until(lambda: not Task.objects.filter(state=State.RUNNING).exists())
    behind()


WRONG = {
    "next_at": ["-infinity", "infinity", "0044-03-15 BC"],
    "time_zone": ["America", "../../etc/passwd", "x" * 64, ""],
    "schedule": ["61 * * * *", "every 0 s", "", "* * 30 2 *"],
    "catch_up": ["never", ""],
}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param(
            column,
            value,
            marks=pytest.mark.postgresql if column == "next_at" else (),
        )
        for column, values in WRONG.items()
        for value in values
    ],
)
def test_a_schedule_that_cannot_be_read_is_set_aside_and_the_others_tick(
    write, new_ticker, caplog, column, value
):
    write(good={}, bad={})
    back("good", HOUR)
    back("bad", HOUR)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE taskq_schedule SET {column} = %s WHERE name = 'bad'", [value])
    ticker = new_ticker()
    assert ticker.tick() == 1
    ticker.due = 0
    assert ticker.tick() == 0
    said = [text for text in caplog.messages if "schedule bad" in text]
    if value != "infinity":  # that is not due
        assert len(said) == 1
        assert "cannot be read here" in said[0]
    assert Task.objects.count() == 1


def test_a_tick_that_the_database_refuses_keeps_no_other(write, new_ticker, caplog, refusing):
    write(good={}, bad={"args": ["bad"]})
    back("good", HOUR)
    back("bad", HOUR)
    refusing("INSERT", "taskq_task", "NEW.payload LIKE '%%bad%%'")
    ticker = new_ticker()
    assert ticker.tick() == 1
    assert "cannot send schedule bad" in caplog.text
    assert ticker.due > 0


@pytest.mark.postgresql
def test_a_pool_that_starts_writes_over_a_schedule_at_no_time(write):
    write(bad={})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE taskq_schedule SET next_at = '-infinity'")
    row = write(bad={"schedule": "30 * * * *"})["bad"]
    assert row.next_at > timezone.now()
