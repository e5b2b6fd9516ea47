"""The end of an atomic task: its row goes in the transaction of its effects, and the COMMIT goes
along with that statement."""

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.test.utils import CaptureQueriesContext

from stress.project.shop.models import Order
from taskq import sql
from taskq.models import Task
from taskq.store import atomic
from tests.project.lab import tasks

pytestmark = pytest.mark.django_db(transaction=True)

#: Itself: what django.db has under this name stands for it, and is none of Django's backends.
connection = connections["default"]


@pytest.fixture
def run(worker):
    """A run of a task that this process has claimed."""
    tasks.quick.delay(1)
    return worker.claim_one().run


@pytest.fixture
def others():
    """What everybody else sees: how many orders, how many tasks."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as raw:
        raw.autocommit = True

        def counts():
            return tuple(
                raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("shop_order", "taskq_task")
            )

        yield counts


def finish(worker, run, *, direct=True, **more):
    """The end of a run, in the transaction that is open on the task's connection."""
    own = sql.django_connection(connection, direct=direct)
    return atomic.finish(own, worker.id, run, **more)


def order():
    Order.objects.create(number=1)


@pytest.mark.shortcuts
@pytest.mark.postgresql
def test_the_commit_goes_along(worker, run, others):
    called = []
    with transaction.atomic():
        order()
        transaction.on_commit(lambda: called.append(others()))
        assert finish(worker, run)
        assert others() == (1, 0)
        assert not called
    assert called == [(1, 0)]
    assert connection.get_autocommit()


@pytest.mark.shortcuts
@pytest.mark.postgresql
def test_of_a_task_without_effects_as_well(worker, run, others):
    with transaction.atomic():
        assert finish(worker, run)
        assert others() == (0, 0)


def test_what_is_not_ours_commits_nothing(new_worker, run):
    other = new_worker()
    with transaction.atomic():
        order()
        assert not finish(other, run)
        transaction.set_rollback(True)
    assert (Order.objects.count(), Task.objects.count()) == (0, 1)


def test_a_transaction_around_it_is_not_committed(worker, run):
    """That of a test, say."""
    with transaction.atomic():
        order()
        with transaction.atomic():
            assert finish(worker, run)
        transaction.set_rollback(True)
    assert (Order.objects.count(), Task.objects.count()) == (0, 1)


@pytest.mark.postgresql
def test_a_constraint_that_fails_at_the_commit_undoes_both(worker, run):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE only_once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    @transaction.atomic
    def twice():
        order()
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO only_once VALUES (1), (1)")
        finish(worker, run)

    try:
        with pytest.raises(IntegrityError):
            twice()
        assert (Order.objects.count(), Task.objects.count()) == (0, 1)
        assert connection.get_autocommit()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE only_once")


@pytest.mark.postgresql
def test_an_error_that_the_task_has_hidden_is_one_at_its_end(worker, run):
    """PostgreSQL refuses all after it, and Django does not know."""

    @transaction.atomic
    def hidden():
        order()
        with pytest.raises(psycopg.Error):
            connection.connection.execute("SELECT 1 / 0")
        finish(worker, run)

    with pytest.raises(DatabaseError):
        hidden()
    assert (Order.objects.count(), Task.objects.count()) == (0, 1)


@pytest.mark.postgresql
def test_who_drops_what_is_prepared_costs_nothing(worker, run):
    tasks.quick.delay(2)
    second = worker.claim_one().run

    @transaction.atomic
    def end(each):
        Order.objects.create(number=each[0])
        return finish(worker, each)

    assert end(run)
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")
    assert end(second)
    assert not Task.objects.exists()
    assert Order.objects.count() == 2


def test_who_watches_sees_it(worker, run):
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        order()
        assert finish(worker, run)
    assert sum("DELETE" in query["sql"] for query in queries) == 1
    assert (Order.objects.count(), Task.objects.count()) == (1, 0)


# What the task has done to its session


@pytest.fixture
def stranger(transactional_db):
    """A role that may use the shop's tables, and none of the queue's."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE taskq_stranger")
        cursor.execute("GRANT INSERT, SELECT ON shop_order TO taskq_stranger")
        cursor.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO taskq_stranger")
    yield "taskq_stranger"
    with connection.cursor() as cursor:
        cursor.execute("DROP OWNED BY taskq_stranger")
        cursor.execute("DROP ROLE taskq_stranger")


DECOY = """
CREATE TEMPORARY TABLE taskq_task ON COMMIT DROP AS SELECT * FROM public.taskq_task LIMIT 0;
CREATE TEMPORARY TABLE taskq_result ON COMMIT DROP AS SELECT * FROM public.taskq_result LIMIT 0
"""
LEFT = {
    "another schema": "SET LOCAL search_path TO pg_catalog",
    "no schema": "SET LOCAL search_path TO ''",
    "tables of that name": DECOY,
    "a role": "SET LOCAL ROLE taskq_stranger",
    "a user": "SET LOCAL SESSION AUTHORIZATION taskq_stranger",
    "nothing prepared": "DEALLOCATE ALL",
    "a role and a schema": (
        "SET LOCAL search_path TO pg_catalog; DEALLOCATE ALL; SET LOCAL ROLE taskq_stranger"
    ),
}


@pytest.mark.postgresql
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("effects", [True, False], ids=["effects", "no effects"])
@pytest.mark.parametrize("direct", [True, False], ids=["direct", "pooled"])
@pytest.mark.parametrize("result", [None, "[1]"], ids=["finish", "keep"])
def test_whatever_the_task_has_set_its_end_is_ours(
    worker, run, stranger, left, effects, direct, result
):
    tasks.quick.delay(2)
    runs = [run, worker.claim_one().run]
    home = worker.db.home
    assert home == "public"
    for each in runs:  # the first has the statement prepared
        with transaction.atomic(), sql.django_connection(connection, direct=direct).begin():
            if effects:
                Order.objects.create(number=each[0])
            if each is runs[1]:
                with connection.cursor() as cursor:
                    cursor.execute(left)
            assert finish(worker, each, direct=direct, result=result, home=home)
    assert not Task.objects.exists()
    assert Order.objects.count() == (2 if effects else 0)


@pytest.mark.postgresql
def test_what_is_deferred_to_the_commit_runs_as_the_tasks_role(worker, run, stranger):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TABLE said (who text);
            GRANT INSERT ON said TO taskq_stranger;
            CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO said VALUES (current_user); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER say AFTER INSERT ON shop_order
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION say()
            """
        )
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL ROLE taskq_stranger")
            order()
            assert finish(worker, run, home=worker.db.home)
        with connection.cursor() as cursor:
            cursor.execute("SELECT who FROM said")
            assert cursor.fetchall() == [("taskq_stranger",)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION say CASCADE; DROP TABLE said")


@pytest.mark.sqlite
@pytest.mark.parametrize("result", [None, "[1]"], ids=["finish", "keep"])
def test_a_temporary_table_of_that_name_is_not_ours(worker, run, result):
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                for table in ("taskq_task", "taskq_result"):
                    cursor.execute(f"CREATE TEMPORARY TABLE {table} AS SELECT * FROM {table}")
            assert finish(worker, run, result=result, home=worker.db.home)
        assert not worker.db.holds(worker.id, run)
    finally:
        connection.close()
