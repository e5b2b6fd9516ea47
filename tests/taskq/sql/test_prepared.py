"""The statement that sends a task, prepared by the server on Django's own connection."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from psycopg import IsolationLevel

from stress.project.shop.models import Order
from taskq.models import Task
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = "INSERT INTO taskq_task"


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
