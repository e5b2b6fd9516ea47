"""The beginning of an atomic task: its BEGIN goes along with its first statement, which is in
the transaction as every other is."""

import signal
import threading

import psycopg
import pytest
from django.db import (
    DatabaseError,
    InternalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.db.backends.postgresql.base import Cursor
from psycopg import IsolationLevel

from stress.project.shop.models import Order
from tests.project.lab import sessions
from tests.taskq.sleepers import alarm_while_the_server_sleeps, end_what_sleeps
from tests.taskq.sql.blocks import NUMBERS, begun, execute

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("new_connection"),
]

MINE = "SELECT current_query() WHERE 'a' LIKE %s"


def statements():
    """What the server was sent for the first statement of a transaction, and for the second."""
    return [execute(MINE, ["%"])[0][0] for _ in range(2)]


@pytest.mark.shortcuts
def test_the_begin_goes_along_with_the_first_statement():
    with begun():
        first, second = statements()
    assert first.startswith("BEGIN;\nSELECT current_query")
    assert second.startswith("SELECT")


@pytest.mark.shortcuts
def test_in_a_worker_as_well(start_pool):
    result = sessions.show_statement.delay()
    start_pool("-c", 1)
    assert result.get(timeout=60).startswith("BEGIN;\nSELECT current_query")


@pytest.mark.parametrize("direct", [True, False])
def test_after_the_block_and_behind_a_pooler_it_is_as_ever(direct):
    with begun(direct=direct):
        execute("SELECT 1")
    with transaction.atomic():
        first, _ = statements()
    with begun(direct=False):
        pooled, _ = statements()
    assert first.startswith("SELECT")
    assert pooled.startswith("SELECT")
    assert connection.connection.cursor_factory is Cursor


def copy():
    with connection.cursor() as cursor, cursor.copy("COPY shop_order FROM STDIN") as rows:
        rows.write_row((1, 1, "now"))


def many():
    with connection.cursor() as cursor:
        cursor.executemany(NUMBERS, [(1,), (2,)])


def streamed():
    """The statement of a server-side cursor, which is none outside of a transaction."""
    assert list(Order.objects.iterator()) == []
    Order.objects.create(number=1)


def savepoint():
    with transaction.atomic():
        Order.objects.create(number=1)


FIRST = {
    "by the ORM": lambda: Order.objects.create(number=1),
    "with a %": lambda: execute("SELECT 1 WHERE 'a%%' LIKE %s", ["a%"]),
    "with no values": lambda: execute("SELECT '%'", None),
    "two of them": lambda: execute(f"SELECT 1; {NUMBERS}", [1]),
    "only a comment": lambda: execute("-- nothing"),
    "a setting": lambda: execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
    "a savepoint": savepoint,
    "COPY": copy,
    "many": many,
    "streamed": streamed,
    "the driver's own": lambda: connection.connection.execute(NUMBERS, [1]),
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize("gone", [True, False])
def test_whatever_is_first_is_in_the_transaction(first, gone):
    with begun(gone=gone):
        first()
        Order.objects.create(number=7)
        with connection.copy().cursor() as other:
            other.execute("SELECT count(*) FROM shop_order")
            assert other.fetchone() == (0,)
            other.db.close()
    assert Order.objects.filter(number=7).exists() is not gone
    assert Order.objects.exists() is not gone
    assert connection.get_autocommit()
    assert connection.connection.autocommit


def test_its_rows_are_those_of_the_statement():
    with begun(), connection.cursor() as cursor:
        cursor.execute("SELECT n, 'x%%' FROM generate_series(1, %s) AS n", [3])
        assert cursor.rowcount == 3
        assert [column.name for column in cursor.description] == ["n", "?column?"]
        assert cursor.fetchall() == [(1, "x%"), (2, "x%"), (3, "x%")]
        assert not cursor.nextset()


@pytest.mark.parametrize("level", [IsolationLevel.SERIALIZABLE, IsolationLevel.REPEATABLE_READ])
def test_a_transaction_of_another_kind_begins_as_one(level):
    connection.ensure_connection()
    connection.connection.isolation_level = level
    with begun():
        ((found,),) = execute("SHOW transaction_isolation")
    assert found.upper().replace(" ", "_") == level.name


def test_after_an_error_nothing_is_done_and_nothing_left():
    with begun(gone=True):
        with pytest.raises(ProgrammingError, match="nowhere"):
            execute("SELECT * FROM nowhere")
        with pytest.raises(InternalError, match="aborted"):
            Order.objects.create(number=1)
    with begun():
        Order.objects.create(number=2)
    assert list(Order.objects.values_list("number", flat=True)) == [2]


@pytest.mark.shortcuts
@pytest.mark.parametrize("gone", [True, False])
def test_after_a_syntax_error_what_follows_is_a_transaction(gone):
    with begun(gone=gone):
        with pytest.raises(ProgrammingError, match="syntax"):
            execute("SELEC 1")
        Order.objects.create(number=1)
        Order.objects.create(number=2)
    assert Order.objects.count() == (0 if gone else 2)


def test_interrupted_in_the_first_statement_it_commits_nothing():
    class Interrupted(Exception):
        pass

    def interrupt(*_):
        raise Interrupted

    @begun()
    def both():
        alarm.start()
        with pytest.raises(Interrupted):
            execute(f"{NUMBERS} RETURNING pg_sleep(30)", [1])
        Order.objects.create(number=2)

    before = signal.signal(signal.SIGALRM, interrupt)
    alarm = threading.Thread(target=alarm_while_the_server_sleeps)
    try:
        with pytest.raises(DatabaseError):
            both()
    finally:
        alarm.join()
        signal.signal(signal.SIGALRM, before)
    connection.close()
    end_what_sleeps()
    assert not Order.objects.exists()


def test_a_connection_that_breaks_is_an_error_and_the_next_one_is_used():
    @begun()
    def broken():
        pid = connection.connection.info.backend_pid
        with psycopg.connect(
            **connection.get_connection_params() | {"cursor_factory": None}
        ) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        Order.objects.create(number=1)

    with pytest.raises(DatabaseError):
        broken()
    with begun():
        Order.objects.create(number=2)
    assert list(Order.objects.values_list("number", flat=True)) == [2]
