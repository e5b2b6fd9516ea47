"""A run that ends as its connection to the database breaks is nobody's failure: it is run again
as one whose worker was killed."""

import pytest

from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.celery.result import AsyncResult
from taskq.models import State, Task
from tests.project.lab import oddities, sessions, tasks
from tests.taskq.outages import all_done, rows, send

pytestmark = pytest.mark.postgresql


@pytest.fixture
def pool(start_pool):
    return start_pool("-c", 1)


def failed():
    return wait_until(lambda: Task.objects.failed().first())


def test_a_run_whose_connection_is_cut_is_run_again_as_a_loss(pool, runs, drained, tmp_path):
    go = tmp_path / "go"
    result = oddities.be_cut_off.delay("a", 1, str(go))
    row = wait_until(lambda: Task.objects.filter(losses=1).first())
    assert row.retries == 0
    assert row.error.startswith("interrupted, as a connection to the database broke: ")
    go.touch()
    drained()
    assert len(runs("start", "a")) == 2
    assert result.state == "SUCCESS"
    pool.wait_for_log("was interrupted")
    assert "died" not in pool.log()


def test_a_transaction_that_is_cut_is_run_again_and_its_effects_are_there_once(pool, runs, drained):
    oddities.be_cut_off_in_transaction.delay("a", 1)
    drained()
    assert len(runs("start", "a")) == 2
    assert Order.objects.get().number == 1001


def test_a_task_that_breaks_its_connection_each_time_fails_after_so_many_losses(pool, runs):
    oddities.be_cut_off.delay("a", 9)
    row = failed()
    assert (row.losses, row.retries, len(runs("start", "a"))) == (3, 0, 3)
    assert "interrupted" in row.error
    tasks.quick.delay("innocent")
    wait_until(lambda: runs("end", "innocent"))


def test_what_must_not_be_repeated_is_held_for_a_person(pool, runs):
    oddities.be_cut_off_once.delay("a")
    row = failed()
    assert len(runs("start", "a")) == 1
    assert "interrupted" in row.error


def test_what_retries_by_itself_is_retried(pool, runs, drained):
    oddities.be_cut_off_and_retry.delay("a")
    drained()
    assert len(runs("start", "a")) == 2
    pool.wait_for_log("will be retried")
    assert "was interrupted" not in pool.log()


@pytest.mark.parametrize("how", ["made up", "a conflict", "a time-out", "a cursor"])
def test_an_error_beside_a_connection_that_is_well_fails_the_task(pool, runs, how):
    oddities.fail_as_if_cut_off.delay("a", how)
    row = failed()
    assert (row.losses, len(runs("start", "a"))) == (0, 1)


@pytest.mark.parametrize(("how", "ran"), [("from", 3), ("beside", 3), ("apart", 1)])
def test_an_error_of_the_tasks_own_is_an_interruption_if_it_was_made_of_one(pool, runs, how, ran):
    oddities.fail_because_cut_off.delay("a", how)
    failed()
    assert len(runs("start", "a")) == ran


def test_a_run_that_was_cancelled_meanwhile_is_not_run_again(pool, runs):
    result = oddities.be_cut_off_when_cancelled.delay("a")
    wait_until(lambda: runs("start", "a"))
    assert AsyncResult(result.id).cancel()
    wait_until(lambda: not Task.objects.exclude(state=State.FAILED).exists())
    assert Task.objects.cancelled().count() == len(runs("start", "a")) == 1


@pytest.fixture
def restart(server, url, pool_on, runs):
    """Restarts the database while these two tasks run."""

    def while_running(*calls):
        pool = pool_on("-c", "2", "--lease", "60", "--heartbeat", "1")
        wait_until(lambda: len(pool.children("worker")) == 2)
        for call in calls:
            send(url, *call)
        wait_until(lambda: len(runs("start")) == 2)
        server.crash()
        server.start()

    return while_running


def test_a_restart_of_the_database_fails_no_atomic_task(restart, url, runs):
    rows(
        url, "INSERT INTO shop_order (number, placed_at) VALUES (7, now()), (8, now()) RETURNING 1"
    )
    restart((tasks.ship, 7, 2.0), (tasks.ship, 8, 2.0))
    wait_until(lambda: all_done(url))
    assert rows(url, "SELECT count(*) FROM taskq_task") == [(0,)]
    assert rows(url, "SELECT count(*) FROM shop_shipment") == [(2,)]


def test_a_restart_of_the_database_fails_no_task_that_waits_for_it(restart, url, runs):
    restart((sessions.ask_server, "a", 30), (sessions.ask_server, "b", 30))
    wait_until(lambda: len(runs("start")) == 4)
    assert rows(url, "SELECT max(losses), max(retries), max(state) FROM taskq_task") == [(1, 0, 1)]
