"""What a task does to its session on the database is its own affair: not its end's, and not the
next task's."""

from __future__ import annotations

import pytest
from django.db import connection

from stress.pools import wait_until
from stress.project.shop.models import Order
from taskq.models import Task
from tests.project.lab import tasks

pytestmark = pytest.mark.django_db(transaction=True)


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def keep_row(transactional_db):
    """A trigger, by which the rows of one task stay, whoever removes them."""
    name = tasks.order_and_execute.name
    if connection.vendor == "sqlite":
        execute(
            "CREATE TRIGGER keep_row BEFORE DELETE ON taskq_task "
            f"WHEN OLD.name = '{name}' BEGIN SELECT RAISE(IGNORE); END"
        )
        yield
        execute("DROP TRIGGER keep_row")
        return
    execute(
        f"""
        CREATE FUNCTION keep_row() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RETURN CASE WHEN OLD.name = '{name}' THEN NULL ELSE OLD END; END $$;
        CREATE TRIGGER keep_row BEFORE DELETE ON taskq_task
        FOR EACH ROW EXECUTE FUNCTION keep_row()
        """
    )
    yield
    execute("DROP FUNCTION keep_row CASCADE")


@pytest.mark.usefixtures("keep_row")
def test_a_row_that_the_end_of_its_task_does_not_remove_is_failed(start_pool, runs):
    """And does not run for ever under a worker that has gone on."""
    pk = tasks.order_and_execute.delay(1, "SELECT 1").id.int
    start_pool("-c", 1)
    wait_until(lambda: Task.objects.filter(pk=pk, state=2).exists(), seconds=20)
    assert "did not remove its row" in Task.objects.get(pk=pk).error
    assert not Order.objects.exists()
    tasks.quick.delay("next")
    wait_until(lambda: runs("done", key="next") or runs(key="next"), seconds=20)


@pytest.mark.postgresql
def test_the_end_of_a_task_is_not_bound_to_what_it_has_set(start_pool, drained):
    execute("CREATE ROLE taskq_stranger")
    try:
        for number, left in enumerate(
            [
                "SET LOCAL search_path TO pg_catalog",
                "SET LOCAL ROLE taskq_stranger",
                "CREATE TEMPORARY TABLE taskq_task ON COMMIT DROP AS TABLE public.taskq_task",
                "DEALLOCATE ALL",
            ]
        ):
            tasks.order_and_execute.delay(number, left)
        start_pool("-c", 1)
        drained()
        assert not Task.objects.exists()
        assert Order.objects.count() == 4
    finally:
        execute("DROP ROLE taskq_stranger")
