"""Outcomes that the database refuses to write: such a task fails, and its worker goes on."""

import os
import subprocess
import sys

import psycopg
import pytest
from django.db import connection

from stress.rig.pools import wait_until
from taskq.models import Result, Task
from tests.project.lab import oddities, tasks
from tests.taskq.outages import rows, send


def failed():
    return wait_until(lambda: Task.objects.failed().first())


@pytest.fixture
def goes_on(runs):
    """Send an innocent task, and wait until it is done."""

    def wait():
        tasks.quick.delay("innocent")
        wait_until(lambda: runs("end", "innocent"))

    return wait


REFUSED = {
    "a result": (tasks.add, (1, 2), "INSERT", "taskq_result", "true"),
    "a failure": (
        tasks.fail,
        ("a",),
        "UPDATE",
        "taskq_task",
        "NEW.state = 2 AND NEW.traceback <> ''",
    ),
    "a retry": (
        tasks.retry_until,
        ("a", 1),
        "UPDATE",
        "taskq_task",
        "NEW.state = 0 AND NEW.retries > 0",
    ),
    "a finish": (tasks.quick, ("bad",), "DELETE", "taskq_task", "OLD.payload LIKE '%bad%'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_outcome_that_is_refused_fails_its_task_and_the_worker_goes_on(
    start_pool, refusing, goes_on, what
):
    task, args, *rule = REFUSED[what]
    refusing(*rule)
    pool = start_pool("-c", 1)
    task.delay(*args)
    goes_on()
    row = failed()
    assert row.error.startswith("its outcome could not be written: ")
    assert row.error.isascii()
    assert row.losses == 0
    assert "does not answer" not in pool.log()
    assert "died" not in pool.log()


KEPT = {
    "a result": (tasks.add, (1, 2), "DELETE", "taskq_task", "OLD.name LIKE '%add'"),
    "a finish": REFUSED["a finish"],
    "a retry": REFUSED["a retry"],
    "a failure": REFUSED["a failure"],
}


@pytest.mark.parametrize("what", KEPT)
def test_an_outcome_that_touches_no_row_though_it_is_there_fails_its_task(
    start_pool, refusing, goes_on, what
):
    """A trigger or a policy of the site keeps the row, and says nothing."""
    task, args, *rule = KEPT[what]
    refusing(*rule, silently=True)
    pool = start_pool("-c", 1)
    task.delay(*args)
    goes_on()
    row = failed()
    assert row.error.startswith("its outcome could not be written: the database keeps the row")
    assert row.losses == 0
    assert not Result.objects.exists()
    assert "no longer held by this worker" not in pool.log()


def test_of_a_batch_only_the_finishes_that_touch_no_row_fail(start_pool, refusing, runs, drained):
    refusing("DELETE", "taskq_task", "OLD.payload LIKE '%bad%'", silently=True)
    for number in range(60):
        tasks.quick.delay("bad" if number % 20 == 5 else f"good {number}")
    start_pool("-c", 1)
    drained()
    assert len(runs("end")) == 60, "none ran twice"
    assert Task.objects.failed().count() == Task.objects.count() == 3


def test_of_a_batch_only_the_finish_that_is_refused_fails(start_pool, refusing, runs, drained):
    refusing("DELETE", "taskq_task", "OLD.payload LIKE '%bad%'")
    for number in range(60):
        tasks.quick.delay("bad" if number % 20 == 5 else f"good {number}")
    start_pool("-c", 1)
    drained()
    assert len(runs("end", "bad")) == 3
    assert {row.error for row in Task.objects.failed()} == {
        "its outcome could not be written: the site has its own ideas"
    }
    assert Task.objects.count() == 3
    assert len(runs("end")) == 60, "none ran twice"


def test_a_task_of_which_nothing_can_be_written_is_let_go_and_charged(
    start_pool, refusing, runs, goes_on
):
    refusing("DELETE", "taskq_task", "OLD.payload LIKE '%bad%'")
    refusing("UPDATE", "taskq_task", "NEW.state = 2 AND NEW.error LIKE '%own ideas%'")
    pool = start_pool("-c", 1)
    tasks.quick.delay("bad")
    goes_on()
    row = failed()
    assert (row.losses, len(runs("start", "bad"))) == (3, 3)
    assert "could not be written" in row.error
    pool.wait_for_log("the task will be reclaimed")
    goes_on()


@pytest.mark.postgresql
def test_an_end_that_hangs_is_ended_by_the_time_limit(start_pool, runs, transactional_db):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$; CREATE TRIGGER hang BEFORE INSERT "
            "ON taskq_result FOR EACH ROW EXECUTE FUNCTION hang()"
        )
    try:
        pool = start_pool("-c", 1, "--lease", "8", "--heartbeat", "1", "--time-limit", "1")
        tasks.add.delay(1, 2)
        pool.wait_for_log("time limit")
    finally:
        pool.kill_all()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name LIKE 'taskq %'"
            )
            cursor.execute("DROP FUNCTION hang CASCADE")


@pytest.fixture
def latin1(server):
    """The URL of a database that is not UTF-8."""
    url = server.create_database("latin")
    with psycopg.connect(url.replace("/latin?", "/postgres?"), autocommit=True) as session:
        session.execute("DROP DATABASE latin")
        session.execute(
            "CREATE DATABASE latin ENCODING LATIN1 TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    return url


def manage(url, *words):
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, "-m", "tests.project.manage", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.postgresql
def test_a_database_that_is_not_utf_8_is_refused_and_what_it_cannot_hold_fails_its_task(
    latin1, start_pool, runs
):
    refused = manage(latin1, "migrate", "-v0")
    assert refused.returncode != 0
    assert "taskq.E011" in refused.stderr
    assert "LATIN1" in refused.stderr
    migrated = manage(latin1, "migrate", "-v0", "--skip-checks")
    assert migrated.returncode == 0, migrated.stderr
    start_pool("-c", 1, ready=False, DATABASE_URL=latin1)
    send(latin1, oddities.fail_oddly, "a", "not all of it storable")
    send(latin1, tasks.quick, "innocent")
    wait_until(lambda: runs("end", "innocent"))
    ((error,),) = wait_until(lambda: rows(latin1, "SELECT error FROM taskq_task WHERE state = 2"))
    assert error.startswith("its outcome could not be written: ")
    assert len(runs("start", "a")) == 1
