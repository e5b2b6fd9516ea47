"""Roles that may do no more than they need: the docs list what that is."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.db.utils import ProgrammingError

from stress.pools import wait_until
from taskq import grants
from taskq.models import Result, Task
from tests.project.lab import tasks

pytestmark = pytest.mark.postgresql

DOCS = Path(__file__).parents[2] / "docs" / "reference.md"


@pytest.fixture
def role(transactional_db):
    """Makes a role that may do this and nothing else; its name."""
    made = []

    def make(allowed):
        name = f"taskq_role_{len(made)}_{os.getpid()}"
        made.append(name)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {name} LOGIN")
            for row, privileges in allowed.items():
                cursor.execute(f"GRANT {', '.join(privileges)} ON {row} TO {name}")
        return name

    yield make
    with connection.cursor() as cursor:
        for name in made:
            cursor.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


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


def as_role(url, name):
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}").geturl()


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
    assert grants.missing(ours) == [f"GRANT {privilege} ON {lacking} TO {name}"]


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
