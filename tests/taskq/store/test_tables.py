"""A pool that finds no tables, as nobody has migrated yet."""

import pytest
from django.db import OperationalError, connection

from stress.rig.pools import wait_until
from taskq.database_errors import DATABASE_ERRORS
from taskq.store.session import StoreSession
from tests.project.lab import tasks


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("missing", ["nought FROM taskq_nowhere", "nought FROM taskq_task"])
def test_tables_that_are_not_there_are_called_so(missing, caplog):
    session = StoreSession("worker 1", "default", 30, direct=False)
    with pytest.raises(DATABASE_ERRORS) as error:
        session.store().connection.rows(f"SELECT {missing}", {})
    session.lost(OperationalError("the server is away"))
    session.lost(error.value)
    session.lost(error.value)
    away, said = caplog.messages
    assert "the database does not answer: the server is away" in away
    assert "nought" in said or "nowhere" in said
    assert said.endswith(": run manage.py migrate; trying again until then")


@pytest.mark.django_db(transaction=True)
def test_a_pool_that_is_started_before_migrate_waits_for_it(start_pool, runs):
    tasks.quick.delay("a")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE taskq_worker RENAME TO taskq_later")
    try:
        pool = start_pool("-c", 1, ready=False)
        wait_until(lambda: "run manage.py migrate" in pool.log())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE taskq_later RENAME TO taskq_worker")
    wait_until(lambda: runs("end", "a"))
