"""What a task does to its session on the database is its own affair: not its end's, and not the
next task's."""

from __future__ import annotations

import pytest
from django.db import connection

from stress.project.shop.models import Order
from stress.rig.pools import GENEROUS, wait_until
from taskq.models import Task
from tests.project.lab import sessions, tasks

pytestmark = pytest.mark.django_db(transaction=True)


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def keep_row(transactional_db):
    """A trigger, by which the rows of one task stay, whoever removes them."""
    name = sessions.order_and_execute.name
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
    pk = sessions.order_and_execute.delay(1, "SELECT 1").id.int
    start_pool("-c", 1)
    wait_until(lambda: Task.objects.filter(pk=pk, state=2).exists())
    assert "did not remove its row" in Task.objects.get(pk=pk).error
    assert not Order.objects.exists()
    tasks.quick.delay("next")
    wait_until(lambda: runs("done", key="next") or runs(key="next"))


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
            sessions.order_and_execute.delay(number, left)
        start_pool("-c", 1)
        drained()
        assert not Task.objects.exists()
        assert Order.objects.count() == 4
    finally:
        execute("DROP ROLE taskq_stranger")


#: All that a statement may leave behind in its session.
PROBE = """
SELECT current_setting('search_path'), current_user, session_user,
       coalesce(current_setting('app.tenant', true), ''), current_setting('statement_timeout'),
       current_setting('TimeZone'), (SELECT count(*) FROM pg_cursors WHERE name = 'left_open'),
       (SELECT count(*) FROM pg_listening_channels()),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
       (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),
       to_regclass('pg_temp.left_there') IS NULL
"""
LEFT_SETTINGS = [
    "SET search_path TO pg_catalog",
    "SET ROLE taskq_stranger",
    "SET SESSION AUTHORIZATION taskq_stranger",
    "SET statement_timeout TO '7s'",
    "SET TIME ZONE 'Asia/Tokyo'",
    "SELECT set_config('app.tenant', '5', false)",
    "SELECT public.take_tenant('5')",
    "SELECT pg_advisory_lock(7)",
]
LEFT_ELSE = [
    "DECLARE left_open CURSOR WITH HOLD FOR SELECT 1",
    "LISTEN nothing",
    "CREATE TEMPORARY TABLE left_there (n int)",
    "PREPARE left_there AS SELECT 1",
    "DO $$ BEGIN EXECUTE 'PREPARE left_there AS SELECT 1'; END $$",
]


@pytest.fixture
def tenant_by_function(transactional_db):
    execute("CREATE ROLE taskq_stranger")
    execute(
        "CREATE FUNCTION take_tenant(text) RETURNS text LANGUAGE sql AS "
        "$$ SELECT set_config('app.tenant', $1, false) $$"
    )
    yield
    execute("DROP FUNCTION take_tenant; DROP ROLE taskq_stranger")


@pytest.mark.postgresql
@pytest.mark.usefixtures("tenant_by_function")
@pytest.mark.parametrize("listen", ["true", "false"])
def test_nothing_of_a_session_reaches_the_next_task(start_pool, listen):
    """listen: false where a pooler may be in between."""
    began = sessions.execute.delay(PROBE)
    after = {left: (sessions.execute.delay(left), sessions.execute.delay(PROBE)) for left in LEFT}
    start_pool("-c", 1, TASKQ_LISTEN=listen)
    expected = began.get(timeout=GENEROUS)
    for left, (leaving, probe) in after.items():
        leaving.get(timeout=GENEROUS)
        assert (left, probe.get(timeout=GENEROUS)) == (left, expected)


LEFT = [*LEFT_SETTINGS, *LEFT_ELSE]


@pytest.mark.shortcuts
@pytest.mark.postgresql
def test_a_session_that_can_be_reset_stays_open(start_pool):
    pid = "SELECT pg_backend_pid()"
    pids = [sessions.execute.delay("SET statement_timeout TO '7s'", pid) for _ in range(5)]
    start_pool("-c", 1)
    assert len({str(each.get(timeout=GENEROUS)) for each in pids}) == 1


def test_a_wrapper_that_a_task_has_left_sees_nothing_of_the_next(start_pool):
    sessions.leave_wrapper.delay()
    probe = sessions.execute.delay("SELECT 1")
    start_pool("-c", 1)
    assert probe.get(timeout=GENEROUS) == [[1]]


IN_DRIVER = {
    "row_factory": "psycopg.rows.dict_row",
    "cursor_factory": "psycopg.ClientCursor",
    "prepare_threshold": 0,
    "isolation_level": 4,
    "read_only": True,
    "deferrable": True,
}


@pytest.mark.postgresql
def test_nothing_that_a_task_sets_in_the_driver_reaches_the_next(start_pool):
    began = sessions.look_at_driver.delay(*IN_DRIVER)
    after = {
        name: (
            sessions.set_in_driver.delay(name, value),
            sessions.look_at_driver.delay(*IN_DRIVER),
            sessions.execute.delay("SELECT 1"),
        )
        for name, value in IN_DRIVER.items()
    }
    start_pool("-c", 1)
    expected = began.get(timeout=GENEROUS)
    for name, (leaving, look, next_one) in after.items():
        leaving.get(timeout=GENEROUS)
        assert (name, look.get(timeout=GENEROUS)) == (name, expected)
        assert next_one.get(timeout=GENEROUS) == [[1]]


def test_a_task_that_has_a_database_lead_elsewhere_takes_nobody_along(start_pool):
    count = "SELECT count(*) FROM shop_order"
    before = sessions.execute.delay(count)
    sessions.lead_elsewhere.delay(":memory:")
    after = sessions.execute.delay(count)
    pool = start_pool("-c", 1)
    assert before.get(timeout=GENEROUS) == [[0]]
    assert after.get(timeout=GENEROUS) == [[0]]
    pool.wait_for_log("put back: settings of the databases")


@pytest.mark.sqlite
def test_nothing_of_a_connection_reaches_the_next_task(start_pool):
    leaving = sessions.execute.delay("CREATE TEMPORARY TABLE taskq_task (n int)")
    probe = sessions.execute.delay("SELECT count(*) FROM sqlite_temp_master")
    start_pool("-c", 1)
    leaving.get(timeout=GENEROUS)
    assert probe.get(timeout=GENEROUS) == [[0]]
