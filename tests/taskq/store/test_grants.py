"""Roles that may do no more than they need: the docs list what that is."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import pytest
from django.db import connection
from django.db.utils import ProgrammingError

from pool import clock
from stress.rig.pools import wait_until
from taskq.models import Result, Task
from taskq.store import grants
from tests.project.lab import tasks
from tests.taskq.roles import as_role

pytestmark = pytest.mark.postgresql

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "sql.md"


@pytest.fixture
def acting(role):
    """Has this connection act as a role that may do this and nothing else."""

    def act(allowed):
        name = role(allowed)
        with connection.cursor() as cursor:
            cursor.execute(f"SET ROLE {name}")

    yield act
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


def test_a_pool_runs_all_kinds_of_tasks_with_what_it_is_said_to_need(
    role, start_pool, database_url, runs
):
    name = role({**grants.POOL, "shop_order": ("SELECT", "INSERT")})
    pool = start_pool("-c", 1, DATABASE_URL=as_role(database_url, name))
    sent = [tasks.add.delay(1, 2), tasks.place.delay(7)]
    tasks.fail.delay("fails")
    tasks.fail_and_retry.delay("retries")
    tasks.quick.apply_async(("once",), idempotency_key="a")
    tasks.quick.delay("a")
    wait_until(lambda: all(result.ready() for result in sent))
    wait_until(lambda: Task.objects.failed().count() == 2 and runs("end", "once"))
    assert pool.stop() == 0
    assert "permission denied" not in pool.log()
    assert "lacks grants" not in pool.log()


def test_what_is_missing_is_said_at_the_start_in_one_message(role, start_pool, database_url, runs):
    allowed = {
        row: privileges for row, privileges in grants.POOL.items() if row != "taskq_schedule"
    }
    name = role({**allowed, "taskq_result": ("SELECT",)})
    pool = start_pool("-c", 1, DATABASE_URL=as_role(database_url, name))
    pool.wait_for_log("lacks grants")
    (said,) = [line for line in pool.log().splitlines() if "lacks grants" in line]
    assert f"GRANT INSERT, UPDATE, DELETE ON taskq_result TO {name}" in said
    assert f"GRANT SELECT, INSERT, UPDATE, DELETE ON taskq_schedule TO {name}" in said
    assert "does not answer" not in pool.log()
    tasks.quick.delay("innocent")
    wait_until(lambda: runs("end", "innocent"))


@pytest.fixture
def status(environment):
    """The exit code of taskq_status with this role, or with the tests' own, and what it says."""

    def run(url):
        command = [sys.executable, "-m", "tests.project.manage", "taskq_status"]
        environment["DATABASE_URL"] = url
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


def test_status_says_what_the_role_of_the_pool_lacks(role, start_pool, database_url, status):
    name = role({**grants.POOL, "taskq_result": ("SELECT",)})
    url = as_role(database_url, name)
    start_pool("-c", 1, DATABASE_URL=url)
    code, said = status(url)
    assert code == 3
    grant = f"GRANT INSERT, UPDATE, DELETE ON taskq_result TO {name}"
    assert f"! the role of the pool lacks grants: run {grant}" in said
    with connection.cursor() as cursor:
        cursor.execute(f"REVOKE SELECT ON taskq_pausedqueue FROM {name}")
    code, said = status(url)
    assert code == 1
    assert "permission denied for table taskq_pausedqueue; the role of the pool lacks" in said
    assert f"GRANT SELECT ON taskq_pausedqueue TO {name}" in said


def test_status_asks_nothing_for_a_role_that_only_looks(role, start_pool, database_url, status):
    looks = role({row: ("SELECT",) for row in grants.POOL})
    start_pool("-c", 1)
    assert status(as_role(database_url, looks)) == (0, ANY)


def test_an_outcome_that_may_not_be_written_fails_its_task_and_the_worker_goes_on(
    role, start_pool, database_url, runs
):
    name = role(grants.POOL)
    pool = start_pool("-c", 1, DATABASE_URL=as_role(database_url, name))
    with connection.cursor() as cursor:
        cursor.execute(f"REVOKE INSERT ON taskq_result FROM {name}")
    began = clock.now()
    tasks.quick.delay("plain")
    plain = wait_until(lambda: runs("start", "plain"))[0]["at"] - began
    began = clock.now()
    kept = tasks.add.delay(1, 2)
    tasks.quick.delay("innocent")
    row = wait_until(lambda: Task.objects.failed().first())
    assert row.pk == kept.id.int
    assert row.error == (
        "its outcome could not be written: permission denied for table taskq_result"
    )
    wait_until(lambda: runs("end", "innocent"))
    assert kept.status == "FAILURE"
    (start,) = runs("start", "innocent")
    # Nothing is waited for: on a machine that is busy a plain task starts later, too.
    assert start["at"] - began < max(clock.SECOND, 20 * plain)
    assert pool.stop() == 0
    assert "died" not in pool.log()


@pytest.mark.parametrize(
    ("lacking", "privilege"), [(row, each) for row, all in grants.POOL.items() for each in all]
)
def test_each_grant_that_a_pool_needs_is_looked_for(acting, connect, lacking, privilege):
    allowed = {**grants.POOL, lacking: tuple(set(grants.POOL[lacking]) - {privilege})}
    acting({row: privileges for row, privileges in allowed.items() if privileges})
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (name,) = cursor.fetchone()
    ours = connect().connection
    ours.rows(f"SET ROLE {name}", {})
    assert grants.missing(ours.rows) == [f"GRANT {privilege} ON {lacking} TO {name}"]


def test_a_sender_needs_no_more_than_it_is_said_to(acting):
    acting(grants.SENDER)
    results = [
        tasks.quick.delay("a"),
        tasks.quick.apply_async(("b",), idempotency_key="b"),
        tasks.quick.apply_async(("b",), idempotency_key="b"),
        tasks.quick.apply_async(("c",), unique_key="c"),
        tasks.quick.apply_async(("c",), unique_key="c"),
        *tasks.quick.delay_many([("d",), ("e",)]),
    ]
    assert {result.state for result in results} == {"PENDING"}
    with pytest.raises(ProgrammingError, match="permission denied"):
        Result.objects.all().delete()


def test_the_docs_list_what_each_needs():
    text = DOCS.read_text()
    for kind in (grants.POOL, grants.SENDER):
        for row, privileges in kind.items():
            assert f"GRANT {', '.join(privileges)} ON {row} TO" in text
