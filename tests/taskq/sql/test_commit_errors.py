"""What only the commit finds wrong is the database's own error, whichever way a statement goes."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from psycopg import errors

from taskq import sql
from taskq.models import Task
from taskq.store import atomic, endings
from tests.project.lab import tasks

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def refuse(transactional_db):
    """Have the commit of whatever writes or removes a task fail, with a state of SQL."""

    def arm(state):
        execute(
            f"""
            CREATE FUNCTION refuse_task() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'at the commit' USING ERRCODE = '{state}'; END $$;
            CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR DELETE ON taskq_task
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_task()
            """
        )

    yield arm
    disarm()


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def disarm():
    execute("DROP FUNCTION IF EXISTS refuse_task CASCADE")


ERRORS = [("23514", IntegrityError, errors.CheckViolation)]
ERRORS += [("40001", OperationalError, errors.SerializationFailure)]


@pytest.mark.parametrize(("state", "djangos", "drivers"), ERRORS)
@pytest.mark.parametrize("times", [1, 3], ids=["plain", "prepared"])
def test_of_a_task_that_is_sent(refuse, state, djangos, drivers, times):
    for number in range(times):
        tasks.quick.delay(number)
    refuse(state)
    with pytest.raises(djangos, match="at the commit"):
        tasks.quick.delay(9)
    with pytest.raises(djangos, match="at the commit"), transaction.atomic():
        tasks.quick.delay(9)  # goes along with the BEGIN
    disarm()
    tasks.quick.delay(10)
    assert Task.objects.count() == times + 1


@pytest.mark.parametrize(("state", "djangos", "drivers"), ERRORS)
def test_of_a_task_that_is_finished(refuse, worker, state, djangos, drivers):
    for number in range(2):
        tasks.quick.delay(number)
    runs = [worker.claim_one().run for _ in range(2)]
    refuse(state)
    for _ in range(3):
        with pytest.raises(drivers):
            worker.db.end(worker.id, map(endings.finish, runs[:1]))
    with pytest.raises(djangos), transaction.atomic():
        atomic.finish(sql.django_connection(connections["default"]), worker.id, runs[1])
    disarm()
    assert worker.db.end(worker.id, map(endings.finish, runs)) == {id for id, _ in runs}


@pytest.mark.parametrize(("state", "djangos", "drivers"), ERRORS)
def test_of_several_statements_on_their_way(refuse, worker, state, djangos, drivers):
    """As a worker finishes and claims in one."""
    for number in range(3):
        tasks.quick.delay(number)
    first, second = (worker.claim_one().run for _ in range(2))
    runs = [first, (second[0], 7)]  # two statements, as of two attempts
    refuse(state)
    for _ in range(3):
        with pytest.raises(drivers):
            worker.db.end(worker.id, map(endings.finish, runs))
    disarm()
    assert worker.db.end(worker.id, map(endings.finish, runs)) == {first[0]}
    assert worker.claim_one()
