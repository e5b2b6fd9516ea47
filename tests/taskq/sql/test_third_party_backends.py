"""Backends that others derive from Django's: what they do around a statement is done to ours."""

from __future__ import annotations

import copy
import shutil
import sys

import dj_database_url
import pytest
from django.db import connection, connections, transaction

from stress.chaos.databases import Database
from stress.rig.pgbouncer import pgbouncer
from taskq import sql
from taskq.models import Task
from taskq.sql.django_cursor import is_djangos_class
from taskq.sql.postgresql import django_connection
from taskq.store import atomic
from tests.project.lab import tasks

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def use(transactional_db):
    """Have this thread use the default database by another backend's connection."""
    before = connections["default"]
    before.close()

    def put(backend, **options):
        settings = copy.deepcopy(before.settings_dict)
        settings["OPTIONS"] |= options
        connections["default"] = backend(settings, "default")
        return connections["default"]

    yield put
    connections["default"].close()
    connections["default"] = before


@pytest.fixture
def schemas(transactional_db):
    """Two schemas of tenants with tables of their own."""
    names = ["tenant_a", "tenant_b"]
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE SCHEMA {name}")
            for table in ("taskq_task", "taskq_worker", "taskq_result", "shop_order"):
                like = f"(LIKE public.{table} INCLUDING ALL)"
                cursor.execute(f"CREATE TABLE {name}.{table} {like}")
    yield names
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP SCHEMA {name} CASCADE")


def where():
    """How many tasks are in each schema."""
    with connections["default"].copy().cursor() as cursor:
        found = {}
        for schema in ("public", "tenant_a", "tenant_b"):
            cursor.execute(f"SELECT count(*) FROM {schema}.taskq_task")
            found[schema] = cursor.fetchone()[0]
        cursor.db.close()
    return found


@pytest.mark.parametrize("in_a_block", [True, False])
def test_a_task_is_written_where_the_orm_would_write(use, schemas, in_a_block):
    from django_tenants.postgresql_backend.base import DatabaseWrapper

    tenants = use(DatabaseWrapper)
    for _ in range(3):  # prepared by now, if it were
        tasks.quick.delay(0)
    tenants.set_schema("tenant_a")
    assert Task.objects.count() == 0
    tenants.set_schema("tenant_b")
    if in_a_block:
        with transaction.atomic():
            tasks.quick.delay(1)
            tasks.quick.delay_many([(2,)])
    else:
        tasks.quick.delay(1)
        tasks.quick.delay_many([(2,)])
    assert where() == {"public": 3, "tenant_a": 0, "tenant_b": 2}


def test_a_backend_that_counts_statements_counts_ours(use):
    from django_prometheus.db import execute_total
    from django_prometheus.db.backends.postgresql.base import DatabaseWrapper

    def counted():
        return execute_total.labels("default", "postgresql")._value.get()

    use(DatabaseWrapper)
    tasks.quick.delay(0)
    before = counted()
    for number in range(3):
        tasks.quick.delay(number)
    assert counted() - before == 3


def test_the_end_of_an_atomic_task_passes_a_subclass(use, worker):
    from django.db.backends.postgresql.base import DatabaseWrapper

    committed = []

    class Watched(DatabaseWrapper):
        def commit(self):
            committed.append(worker.db.connection.count("SELECT FROM taskq_task", {}))
            super().commit()

    own = use(Watched)
    tasks.quick.delay(1)
    run = worker.claim_one().run
    with transaction.atomic(), sql.django_connection(own).begin():
        assert atomic.finish(sql.django_connection(own), worker.id, run)
    assert committed == [1]  # it is this that commits
    assert Task.objects.count() == 0


def test_a_cursor_factory_of_the_sites_own_sees_it(use):
    from django.db.backends.postgresql.base import Cursor, DatabaseWrapper

    seen = []

    class Traced(Cursor):
        def execute(self, query, *args, **options):
            seen.append(query)
            return super().execute(query, *args, **options)

    use(DatabaseWrapper, cursor_factory=Traced)
    tasks.quick.delay(0)
    seen.clear()
    tasks.quick.delay(1)
    assert len(seen) == 1


def test_psycopgs_pool_is_no_hindrance(use):
    from django.db.backends.postgresql.base import DatabaseWrapper

    pooled = use(DatabaseWrapper, pool={"min_size": 1, "max_size": 1})
    try:
        for _ in range(3):
            for number in range(3):
                tasks.quick.delay(number)
            pooled.close()  # back into the pool, with what is prepared
        assert Task.objects.count() == 9
    finally:
        pooled.close()
        pooled.close_pool()


def test_only_what_django_ships_is_djangos():
    from django.db.backends.postgresql.base import DatabaseWrapper

    class Same(DatabaseWrapper):
        pass

    Same.__module__, Same.__qualname__ = DatabaseWrapper.__module__, DatabaseWrapper.__qualname__
    assert is_djangos_class(DatabaseWrapper)
    assert not is_djangos_class(Same)


def test_all_methods_on_the_way_are_looked_at():
    """What a statement calls of the classes that tools change, as Python counts it."""
    tasks.quick.delay(0)
    called = set()

    def note(frame, event, _):
        if event == "call":
            called.add((frame.f_code.co_filename, frame.f_code.co_name))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1", {})
            cursor.fetchall()
    finally:
        sys.setprofile(before)
    looked_at = django_connection.names_on_the_way()
    backends = {name for file, name in called if "/django/db/backends/" in file}
    assert {"cursor", "_execute"} <= backends
    missing = backends - looked_at
    # The rest does nothing with the statement.
    assert missing <= {"__enter__", "__exit__", "allow_thread_sharing", "pool"}


@pytest.fixture
def bouncer(tmp_path, database_url):
    """The URL of a PgBouncer in transaction mode, of which nobody has told us."""
    if shutil.which("pgbouncer") is None:
        pytest.skip("there is no pgbouncer on this machine")
    with pgbouncer(Database(database_url, None), "127.0.0.1", tmp_path) as url:
        yield dj_database_url.parse(url)


def test_behind_a_pooler_that_nobody_has_told_of_nothing_is_prepared(use, bouncer):
    from django.db.backends.postgresql.base import DatabaseWrapper

    pooled = use(DatabaseWrapper)
    pooled.settings_dict.update({key: bouncer[key] for key in ("HOST", "PORT", "USER", "PASSWORD")})
    for _ in range(4):
        tasks.quick.delay(0)
        with transaction.atomic():
            Task.objects.exists()
            tasks.quick.delay(0)
    with pooled.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)
    assert Task.objects.count() == 8
