"""The beginning of an atomic task on a connection that tools watch and threads share."""

import threading

import pytest
from django.db import connection, connections
from django.db.backends.postgresql.base import Cursor
from django.test.utils import CaptureQueriesContext

from stress.project.shop.models import Order
from taskq.models import Task
from taskq.sql.postgresql.begin import BeginningCursor
from tests.project.lab import tasks
from tests.taskq.sql.blocks import NUMBERS, begun, execute

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("new_connection"),
]


def test_who_watches_sees_the_statement_alone():
    seen = []

    def watch(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch), begun():
        Order.objects.count()
    with CaptureQueriesContext(connection) as queries, begun():
        Order.objects.count()
    assert seen[0].startswith("SELECT COUNT")
    assert not any("BEGIN;" in query["sql"] for query in queries)


@pytest.mark.shortcuts
def test_a_tool_that_replaces_a_method_of_djangos_cursor_sees_the_statement_alone(monkeypatch):
    seen = []
    plain = Cursor.execute

    def traced(cursor, query, *args, **options):
        seen.append(query)
        return plain(cursor, query, *args, **options)

    with begun():
        monkeypatch.setattr(Cursor, "execute", traced)
        ((found,),) = execute("SELECT current_query()")
        monkeypatch.undo()
    assert seen == ["SELECT current_query()"]
    assert found.startswith("BEGIN;")


class _LateFor:
    """The lock of the driver's connection, which one thread reaches after the other is done."""

    def __init__(self, lock, late, other):
        self.lock, self.late, self.other = lock, late, other
        self.there = threading.Event()

    def __enter__(self):
        if threading.current_thread() is self.late:
            self.there.set()
            self.other.join(60)
        return self.lock.__enter__()

    def __exit__(self, *error):
        return self.lock.__exit__(*error)


@pytest.mark.parametrize("second", ["a row", "a task"])
def test_threads_that_share_the_connection_all_write_in_the_transaction(monkeypatch, second):
    shared = connections["default"]
    shared.ensure_connection()
    shared.inc_thread_sharing()

    def insert(number):
        with shared.cursor() as cursor:
            cursor.execute(NUMBERS, [number])

    def come_second():
        assert lock.there.wait(60)
        if second == "a row":
            insert(2)
        else:
            connections["default"] = shared  # in this thread
            tasks.quick.delay(2)

    late = threading.Thread(target=insert, args=(1,))
    other = threading.Thread(target=come_second)
    lock = _LateFor(shared.connection.lock, late, other)
    try:
        with begun(gone=True):
            monkeypatch.setattr(shared.connection, "lock", lock)
            other.start()
            late.start()
            other.join(60)
            late.join(60)
            monkeypatch.undo()
    finally:
        shared.dec_thread_sharing()
    assert not Order.objects.exists()
    assert not Task.objects.exists()


@pytest.mark.shortcuts
def test_a_block_whose_end_was_cut_off_leaves_the_next_as_it_should_be():
    connection.ensure_connection()
    connection.connection.cursor_factory = BeginningCursor
    with begun():
        execute("SELECT 1")
    assert connection.connection.cursor_factory is Cursor


def test_a_tool_that_replaces_the_drivers_cursor_keeps_it():
    class Traced(Cursor):
        pass

    connection.ensure_connection()
    connection.connection.cursor_factory = Traced
    with begun(), connection.cursor() as cursor:
        assert type(cursor.cursor) is Traced
    assert connection.connection.cursor_factory is Traced
