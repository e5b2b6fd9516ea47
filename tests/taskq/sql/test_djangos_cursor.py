"""The statement that sends a task, on Django's own connection: all that guards and watches
what Django does there guards and watches it too."""

from __future__ import annotations

import asyncio
import functools

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import InternalError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import Cursor
from django.db.backends.utils import CursorWrapper
from django.db.transaction import TransactionManagementError
from django.test import SimpleTestCase
from django.test.testcases import DatabaseOperationForbidden
from django.test.utils import CaptureQueriesContext
from psycopg import IsolationLevel

from stress.project.shop.models import Order
from taskq.models import Task
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = "INSERT INTO taskq_task"


@pytest.fixture
def new_connection(transactional_db):
    connection.close()
    yield
    connection.close()


def test_it_is_logged_as_all_that_is_captured():
    lab.quick.delay(0)
    with CaptureQueriesContext(connection) as queries:
        lab.quick.delay(1)
    assert [INSERT in query["sql"] for query in queries] == [True]


def test_a_wrapper_sees_it():
    seen = []

    def watch(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    lab.quick.delay(0)
    with connection.execute_wrapper(watch):
        lab.quick.delay(1)
    assert [INSERT in sql for sql in seen] == [True]


def test_a_wrapper_that_sends_a_task_itself_mixes_nothing_up():
    inner = []

    def send_too(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if not inner:
            inner.append(None)
            inner[0] = lab.quick.delay("inner").id.int  # before the answer is read
        return result

    first = lab.quick.delay("first").id.int
    with connection.execute_wrapper(send_too):
        outer = lab.quick.delay("outer").id.int
    payloads = dict(Task.objects.values_list("pk", "payload"))
    expected = {first: "first", outer: "outer", inner[0]: "inner"}
    assert payloads == {pk: f'[["{name}"],{{}}]' for pk, name in expected.items()}


@pytest.mark.parametrize(
    ("where", "name"),
    [(connection, "cursor"), (BaseDatabaseWrapper, "cursor"), (CursorWrapper, "execute")],
)
def test_a_tool_that_puts_its_own_in_djangos_place_sees_it(monkeypatch, where, name):
    calls = []
    original = getattr(where, name)

    @functools.wraps(original)  # it looks like Django's
    def traced(*args):
        calls.append(args)
        return original(*args)

    lab.quick.delay(0)
    monkeypatch.setattr(where, name, traced)
    lab.quick.delay(1)
    assert len(calls) == 1


class _Proxy:
    """As ``wrapt`` makes them: it has all that it wraps has, and is equal to it."""

    def __init__(self, wrapped, calls):
        self._wrapped, self._calls = wrapped, calls

    def __getattr__(self, name):
        return getattr(self._wrapped, name)

    def __get__(self, instance, owner):
        return _Proxy(self._wrapped.__get__(instance, owner), self._calls)

    def __call__(self, *args, **options):
        self._calls.append(args)
        return self._wrapped(*args, **options)

    def __eq__(self, other):
        return self._wrapped == other

    def __hash__(self):
        return hash(self._wrapped)


@pytest.mark.parametrize(
    ("where", "name"),
    [(connection, "cursor"), (BaseDatabaseWrapper, "cursor"), (CursorWrapper, "execute")],
)
def test_a_tool_that_puts_a_proxy_in_djangos_place_sees_it(monkeypatch, where, name):
    calls = []
    lab.quick.delay(0)
    monkeypatch.setattr(where, name, _Proxy(getattr(where, name), calls))
    lab.quick.delay(1)
    assert len(calls) == 1


def test_who_forbids_connections_forbids_it_on_one_that_is_open(monkeypatch):
    """As pytest-django does for tests that did not ask for a database."""

    def forbidden(connection):
        raise RuntimeError("no database here")

    lab.quick.delay(0)
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", forbidden)
    with pytest.raises(RuntimeError, match="no database"):
        lab.quick.delay(1)
    monkeypatch.undo()
    assert Task.objects.count() == 1


@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
def test_a_tool_that_replaces_the_drivers_cursor_sees_it():
    seen = []

    class Traced(Cursor):
        def execute(self, query, *args, **options):
            seen.append(query)
            return super().execute(query, *args, **options)

    lab.quick.delay(0)
    connection.connection.cursor_factory = Traced
    lab.quick.delay(1)
    assert [INSERT in query for query in seen] == [True]


def test_a_test_without_a_database_has_none():
    class WithoutDatabase(SimpleTestCase):
        pass

    lab.quick.delay(0)
    WithoutDatabase._add_databases_failures()
    try:
        with pytest.raises(DatabaseOperationForbidden):
            lab.quick.delay(1)
    finally:
        WithoutDatabase._remove_databases_failures()


def test_it_is_refused_in_an_event_loop():
    async def send():
        lab.quick.delay(1)

    lab.quick.delay(0)
    with pytest.raises(SynchronousOnlyOperation):
        asyncio.run(send())


def test_it_is_refused_in_a_broken_transaction():
    lab.quick.delay(0)
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            lab.quick.delay(1)


@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
def test_a_lost_connection_is_an_error_of_djangos_and_the_next_one_is_used():
    lab.quick.delay(0)
    connection.connection.close()
    with pytest.raises(OperationalError):
        lab.quick.delay(1)
    connection.close()
    lab.quick.delay(2)
    assert Task.objects.count() == 2


@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
def test_after_an_error_it_is_as_new():
    lab.quick.delay(0)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")
        with pytest.raises(InternalError):
            lab.quick.delay(1)
        transaction.set_rollback(True)
    pk = lab.quick.delay(2).id.int
    assert Task.objects.get(pk=pk).payload == "[[2],{}]"


# Prepared


def prepared():
    """The statements that the server keeps parsed for this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [text for (text,) in cursor.fetchall()]


def send_some():
    for number in range(5):
        lab.quick.delay(number)
        lab.quick.delay_many([(number,)])
        Order.objects.exists()


@pytest.mark.shortcuts
@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
def test_our_statements_are_prepared_on_djangos_connection_and_no_others():
    send_some()
    assert len(prepared()) == 2
    assert all(INSERT in statement for statement in prepared())
    with transaction.atomic():
        send_some()
        transaction.set_rollback(True)
    send_some()
    assert Task.objects.count() == 20
    assert len(prepared()) == 2


@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
def test_one_task_of_a_connection_costs_no_round_trip_to_prepare():
    lab.quick.delay(0)
    assert prepared() == []


@pytest.mark.shortcuts
@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
@pytest.mark.parametrize("forget", ["DISCARD ALL", "DEALLOCATE ALL", "DEALLOCATE taskq_0"])
def test_who_drops_what_is_prepared_loses_no_task(forget):
    send_some()
    with connection.cursor() as cursor:
        cursor.execute(forget)
    send_some()
    assert Task.objects.count() == 20


@pytest.mark.shortcuts
@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
@pytest.mark.parametrize(
    "drop",
    [
        "DEALLOCATE ALL",
        "deallocate taskq_0",
        "SELECT 1; DEALLOCATE ALL",
        "-- as it is\nDEALLOCATE ALL",
        "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$",
    ],
)
def test_dropped_in_a_transaction_it_is_lost_to_nobody(drop):
    send_some()
    with transaction.atomic():
        Order.objects.create(number=1)
        with connection.cursor() as cursor:
            cursor.execute(drop)
        send_all_ways()
        send_all_ways()
    send_some()
    assert (Order.objects.count(), Task.objects.count()) == (1, 10 + 2 * 4 + 10)


def send_all_ways():
    lab.quick.delay(0)
    lab.quick.delay_many([(0,), (1,)])
    lab.quick.apply_async((0,), idempotency_key=f"{Task.objects.count()}")


@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
@pytest.mark.parametrize("told", [True, False], ids=["by Django", "behind its back"])
@pytest.mark.parametrize("begins", [True, False], ids=["task first", "order first"])
def test_dropped_before_a_transaction_it_is_lost_to_nobody(told, begins):
    def in_a_transaction():
        with transaction.atomic():
            if not begins:
                Order.objects.create(number=Order.objects.count())
            lab.quick.delay(0)

    for _ in range(3):
        in_a_transaction()
    for _ in range(2):
        if told:
            with connection.cursor() as cursor:
                cursor.execute("DISCARD ALL")
        elif begins:
            connection.connection.pgconn.exec_(b"DISCARD ALL")
        in_a_transaction()
    assert Task.objects.count() == 5


@pytest.mark.shortcuts
@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
def test_after_what_drops_nothing_it_is_used_in_a_transaction():
    send_some()
    with transaction.atomic():
        for statement in (
            "SET LOCAL lock_timeout = '1s'",
            "SELECT 'a;b'",
            "SELECT 1",
            "SAVEPOINT a",
        ):
            with connection.cursor() as cursor:
                cursor.execute(statement)
        assert sent_by_what_is_prepared()
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN END $$")
        assert not sent_by_what_is_prepared()
    assert sent_by_what_is_prepared()
    with transaction.atomic():
        Order.objects.exists()
        assert sent_by_what_is_prepared()


def sent_by_what_is_prepared():
    """Whether a task is, by the server's count of its uses."""

    def uses():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements "
                "WHERE statement LIKE '%INSERT INTO taskq_task%'"
            )
            return cursor.fetchone()[0]

    before = uses()
    lab.quick.delay(0)
    return uses() == before + 1


@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
def test_a_driver_that_prepares_by_itself_is_left_to_it(monkeypatch):
    """After a rollback it drops all that the session has prepared, ours too."""
    connection.ensure_connection()
    connection.connection.prepare_threshold = 1
    for _ in range(3):
        send_some()
        with transaction.atomic():
            send_some()
            transaction.set_rollback(True)
    assert Task.objects.count() == 30


@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
def test_within_the_callers_own_pipeline():
    send_some()
    with connection.connection.pipeline():
        lab.quick.delay("in a pipeline")
    assert Task.objects.count() == 11


@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
@pytest.mark.parametrize("level", [None, IsolationLevel.SERIALIZABLE])
@pytest.mark.parametrize("listen", [True, False])
def test_the_first_statement_of_a_transaction_is_in_it_as_it_should_be(settings, level, listen):
    settings.TASKQ = {"LISTEN": listen}
    send_some()
    connection.connection.isolation_level = level
    seen = []
    for gone in (True, False):
        with transaction.atomic():
            lab.quick.delay(1)
            with connection.cursor() as cursor:
                cursor.execute("SHOW transaction_isolation")
                seen += cursor.fetchone()
            transaction.set_rollback(gone)
    assert Task.objects.count() == 11
    assert seen == 2 * [level.name.lower() if level else "read committed"]


@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
@pytest.mark.parametrize("said_by", ["us", "Django"])
def test_behind_a_pooler_nothing_is_prepared(settings, monkeypatch, said_by):
    """Another session may be ours when the next transaction begins."""
    if said_by == "us":
        settings.TASKQ = {"LISTEN": False}
    else:
        monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    send_some()
    assert prepared() == []
    assert Task.objects.count() == 10


@pytest.mark.shortcuts
@pytest.mark.postgresql
@pytest.mark.usefixtures("new_connection")
def test_behind_a_pooler_djangos_cursor_is_left_out_as_well(settings):
    """That writes the values into the statement's text."""
    settings.TASKQ = {"LISTEN": False}
    lab.quick.delay(1)
    with connection.copy().cursor() as other:
        other.execute(
            "SELECT query FROM pg_stat_activity WHERE pid = %s",
            [connection.connection.info.backend_pid],
        )
        ((query,),) = other.fetchall()
        other.db.close()
    assert "$1" in query
