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

from taskq.models import Task
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = "INSERT INTO taskq_task"


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
