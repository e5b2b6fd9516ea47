"""django-tenants: a task runs as the tenant that has sent it, and leaves nothing to the next.

The senders and the pools are processes of a project with its backend.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.db import connection

from stress.rig.pools import GENEROUS, wait_until

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

TENANTS = ("tenant_a", "tenant_b")
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.project.tenants"}
BEGIN = """
import django; django.setup()
from django.db import connection, transaction
from django_tenants.utils import schema_context, tenant_context
from tests.project.tenancy import tasks
from tests.project.tenancy.models import Client, Domain
"""
MAKE_TENANTS = """
with connection.schema_editor() as editor:
    editor.create_model(Client); editor.create_model(Domain)
for name in ("tenant_a", "tenant_b"):
    Client.objects.create(schema_name=name, name=name)
"""


@pytest.fixture
def as_site(environment):
    """Run code in a process of that project."""

    def run(code):
        done = subprocess.run(
            [sys.executable, "-c", BEGIN + code],
            env={**environment, **SETTINGS},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture
def tenants(as_site):
    with connection.cursor() as cursor:
        for name in TENANTS:
            cursor.execute(f"CREATE SCHEMA {name}")
            cursor.execute(f"CREATE TABLE {name}.shop_order (LIKE shop_order INCLUDING ALL)")
    as_site(MAKE_TENANTS)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE tenancy_domain, tenancy_client")
        for name in TENANTS:
            cursor.execute(f"DROP SCHEMA {name} CASCADE")


def numbers(schema):
    """Of the orders in a schema."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT number FROM {schema}.shop_order ORDER BY number")
        return [number for (number,) in cursor.fetchall()]


def left(schema="public"):
    """How many tasks wait or run, and what the others have failed for."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT state, error FROM {schema}.taskq_task")
        rows = cursor.fetchall()
    return sum(state < 2 for state, _ in rows), [error for state, error in rows if state == 2]


def drained(schema="public"):
    wait_until(lambda: not left(schema)[0], what="all tasks have run")
    return left(schema)[1]


@pytest.mark.usefixtures("tenants")
def test_a_task_runs_as_the_tenant_that_has_sent_it(as_site, start_pool):
    as_site("""
for start, schema in ((0, "public"), (10, "tenant_a"), (20, "tenant_b")):
    with schema_context(schema):
        tasks.order.delay(start)
        with transaction.atomic():
            tasks.order_atomically.delay(start + 1)
        tasks.order_in_a_coroutine.delay(start + 2)
        tasks.order_at_second_try.delay(start + 3)
        tasks.order.delay_many([(start + 4,), (start + 5,)])
""")
    start_pool("-c", 1, **SETTINGS)
    assert drained() == []
    for start, schema in ((0, "public"), (10, "tenant_a"), (20, "tenant_b")):
        assert numbers(schema) == list(range(start, start + 6))


@pytest.mark.usefixtures("tenants")
def test_a_tenant_that_is_gone_has_its_task_failed_and_shares_nothing(as_site, start_pool):
    as_site("""
with schema_context("tenant_a"):
    tasks.order.delay(1)
Client.objects.filter(schema_name="tenant_a").delete()
""")
    start_pool("-c", 1, **SETTINGS)
    (error,) = drained()
    assert "DoesNotExist" in error
    assert numbers("public") == numbers("tenant_a") == []


@pytest.mark.usefixtures("tenants")
def test_a_tenant_that_a_task_has_chosen_itself_is_not_the_next_ones(as_site, start_pool):
    as_site("""
for number in range(3):
    tasks.order_for.delay("tenant_a", number)
    tasks.order.delay(10 + number)
""")
    start_pool("-c", 1, **SETTINGS, TASKQ_TEST_WITHOUT_CONTEXT="1")
    assert drained() == []
    assert numbers("tenant_a") == [0, 1, 2]
    assert numbers("public") == [10, 11, 12]


@pytest.fixture
def queues_of_their_own(tenants):
    """The tables of the queue in each schema as well."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^taskq_'"
        )
        for (table,) in cursor.fetchall():
            for name in TENANTS:
                cursor.execute(f"CREATE TABLE {name}.{table} (LIKE public.{table} INCLUDING ALL)")


@pytest.mark.usefixtures("queues_of_their_own")
def test_a_pool_of_a_tenant_serves_the_queue_in_its_schema(as_site, start_tenant_pool):
    as_site("""
for start, schema in ((10, "tenant_a"), (20, "tenant_b")):
    with schema_context(schema):
        tasks.order.delay(start)
        tasks.order_atomically.delay(start + 1)
""")
    assert [left(name)[0] for name in ("public", *TENANTS)] == [0, 2, 2]
    start_tenant_pool("tenant_a")
    assert drained("tenant_a") == []
    assert numbers("tenant_a") == [10, 11]
    assert (left("tenant_b")[0], numbers("tenant_b"), numbers("public")) == (2, [], [])


@pytest.fixture
def start_tenant_pool(environment, tmp_path):
    pools = []

    def start(schema):
        words = ["tenant_command", "taskq_pool", "-c", "1", f"--schema={schema}"]
        command = [sys.executable, "-m", "tests.project.manage", *words]
        log = (tmp_path / "pool.log").open("wb")
        pools.append(
            subprocess.Popen(command, env={**environment, **SETTINGS}, stdout=log, stderr=log)
        )

    yield start
    for pool in pools:
        pool.terminate()
        pool.wait(GENEROUS)
    print((tmp_path / "pool.log").read_text())
