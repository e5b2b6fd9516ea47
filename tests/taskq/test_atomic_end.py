"""The end of an atomic task: its row goes in the transaction of its effects, and the COMMIT goes
along with that statement."""

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.test.utils import CaptureQueriesContext

from stress.project.shop.models import Order
from taskq import leases
from taskq.models import Task
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


def order():
    Order.objects.create(number=1)


@pytest.mark.postgresql
def test_the_commit_goes_along(worker, run, others):
    called = []
    with transaction.atomic():
        order()
        transaction.on_commit(lambda: called.append(others()))
        assert leases.finish_within(connection, worker.id, run)
        assert others() == (1, 0)
        assert not called
    assert called == [(1, 0)]
    assert connection.get_autocommit()


@pytest.mark.postgresql
def test_of_a_task_without_effects_as_well(worker, run, others):
    with transaction.atomic():
        assert leases.finish_within(connection, worker.id, run)
        assert others() == (0, 0)


def test_what_is_not_ours_commits_nothing(new_worker, run):
    other = new_worker()
    with transaction.atomic():
        order()
        assert not leases.finish_within(connection, other.id, run)
        transaction.set_rollback(True)
    assert (Order.objects.count(), Task.objects.count()) == (0, 1)


def test_a_transaction_around_it_is_not_committed(worker, run):
    """That of a test, say."""
    with transaction.atomic():
        order()
        with transaction.atomic():
            assert leases.finish_within(connection, worker.id, run)
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
        leases.finish_within(connection, worker.id, run)

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
        leases.finish_within(connection, worker.id, run)

    with pytest.raises(DatabaseError):
        hidden()
    assert (Order.objects.count(), Task.objects.count()) == (0, 1)


@pytest.mark.postgresql
def test_who_drops_what_is_prepared_costs_one_attempt_at_most(worker, run):
    tasks.quick.delay(2)
    second = worker.claim_one().run

    @transaction.atomic
    def end(each):
        Order.objects.create(number=each[0])
        return leases.finish_within(connection, worker.id, each)

    assert end(run)
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")
    with pytest.raises(DatabaseError):
        end(second)
    assert end(second)
    assert not Task.objects.exists()


def test_who_watches_sees_it(worker, run):
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        order()
        assert leases.finish_within(connection, worker.id, run)
    assert sum("DELETE" in query["sql"] for query in queries) == 1
    assert (Order.objects.count(), Task.objects.count()) == (1, 0)
