"""The black box of a lost worker: a row with its cause, its stack and its memory."""

import datetime
import os
import signal

import psutil
import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from pool.black_box import Box, Sample
from pool.death import Cause, Death
from pool.last_runs import LastRun
from stress.rig.pools import wait_until
from taskq.conf import Settings
from taskq.keeper.losses import ROOM, RUNS, Left, Losses, last_runs
from taskq.models import Loss, State, Task
from taskq.pool_context import PoolContext
from taskq.sql.postgresql import losses
from taskq.store import endings
from taskq.store.endings import Ending
from taskq.task.measures import End, key
from taskq.task.queues import Queues
from tests.project.lab import lost, tasks
from tests.taskq.conftest import child_of_no_pool
from tests.taskq.sql.plans import explain, indexes


def the_loss(**of):
    """The row of a loss, once it is there."""
    return wait_until(lambda: Loss.objects.filter(**of).first(), what="a loss")


def test_a_crash_in_c_code_leaves_its_cause_its_stack_and_its_place(start_pool, runs):
    pool = start_pool("-c", 1)
    pk = lost.read_address_0.apply_async(["a"], queue="mail").id.int
    loss = the_loss(task_id=pk)
    (start,) = runs("start", "a")
    assert (loss.cause, loss.pid, loss.worker) == ("killed by SIGSEGV", start["pid"], "worker 1")
    assert (loss.pool, loss.attempt, loss.queue) == (f"{loss.host}:{pool.pid}", 1, "mail")
    assert loss.name == "tests.project.lab.lost.read_address_0"
    assert loss.stack.startswith("Fatal Python error: Segmentation fault")
    assert 'lost.py", line' in loss.stack
    assert loss.place.startswith("lost.py:")
    assert loss.sentence.startswith("killed by SIGSEGV, was in lost.py:")
    assert loss.version.startswith("taskq ")
    assert loss.samples
    # The task's own row has the cause, as before.
    assert Task.objects.get(pk=pk).error == "killed by SIGSEGV"
    pool.wait_for_log("killed by SIGSEGV, was in lost.py:")


@pytest.mark.parametrize("task", [lost.count_for_ever, lost.sum_in_c])
def test_a_run_past_its_time_limit_says_where_it_was(start_pool, task):
    start_pool("-c", 1)
    pk = task.delay("a").id.int
    loss = the_loss(task_id=pk)
    assert loss.cause.startswith("time limit passed after")
    if loss.stack:  # a machine that is busy may not let the worker write it in time
        assert f"({task.__wrapped__.__name__})" in loss.place


def test_a_worker_that_grew_and_was_killed_from_outside_says_so(start_pool, runs):
    pool = start_pool("-c", 1)
    pk = lost.grow.delay("a").id.int
    (start,) = wait_until(lambda: runs("start", "a"))
    worker = psutil.Process(start["pid"])
    wait_until(lambda: worker.memory_info().rss > 500 * 2**20, what="it has 500 MiB")
    for rounds in (1, 2):  # the supervisor looks at its memory in each
        pool.signal(signal.SIGUSR1)
        wait_until(lambda: pool.log().count("busy runs") == rounds)  # noqa: B023
    os.kill(start["pid"], signal.SIGKILL)
    loss = the_loss(task_id=pk)
    assert loss.cause == "killed by SIGKILL"
    assert "MiB/s, was in lost.py:" in loss.sentence
    assert loss.samples[-1].kib > 300 * 1024


def test_a_worker_that_leaves_in_peace_is_no_loss(start_pool, drained):
    pool = start_pool("-c", 1)
    for each in range(3):
        tasks.quick.delay(each)
    drained()
    assert pool.stop() == 0
    assert not Loss.objects.exists()


def test_an_idle_worker_that_is_killed_is_a_loss_without_a_task(start_pool):
    pool = start_pool("-c", 1)
    (pid,) = pool.children("worker").values()
    os.kill(pid, signal.SIGKILL)
    loss = the_loss(pid=pid)
    assert (loss.task_id, loss.name, loss.cause) == (0, "", "killed by SIGKILL")


def test_what_did_not_stop_in_time_is_written_before_the_pool_ends(start_pool, runs):
    pool = start_pool("-c", 1, "--drain-timeout", "0.5")
    pk = lost.wait_here.delay("a", 60).id.int
    wait_until(lambda: runs("start", "a"))
    assert pool.stop() == 0
    assert Loss.objects.get().task_id == pk


def test_a_loss_that_cannot_be_written_keeps_no_task_from_being_reclaimed(
    start_pool, runs, refusing
):
    refusing("INSERT", "taskq_loss", "true" if connection.vendor == "postgresql" else "1")
    pool = start_pool("-c", 1, "--lease", "10", "--heartbeat", "0.5")
    lost.wait_here.delay("a", 60)
    for count in (1, 2):
        starts = wait_until(lambda count=count: len(runs("start", "a")) == count and runs("start"))
        os.kill(starts[-1]["pid"], signal.SIGKILL)
    wait_until(lambda: len(runs("start", "a")) == 3)
    pool.wait_for_log("cannot store losses")
    assert pool.log().count("cannot store losses") == 1
    assert not Loss.objects.exists()


def test_a_task_of_a_lost_host_is_a_loss_without_a_stack(start_pool, new_worker):
    task = Task.objects.create(name="x", queue="far")
    worker = new_worker(lease=0.5)
    Task.objects.filter(pk=task.pk).update(
        state=State.RUNNING, worker_id=worker.id, started_at=timezone.now(), attempt=1
    )
    start_pool("-c", 1, "-Q", "none", "--lease", "3", "--heartbeat", "0.5")
    loss = the_loss(task_id=task.pk)
    assert (loss.cause, loss.stack, loss.pid) == ("lease ran out unrenewed", "", 0)
    assert (loss.name, loss.queue) == ("x", "far")


# What the keeper notes


NOTHING = Left([], Box(), [])
DEATH = Death(1, 4242, 7, 100, 2, Cause.SIGNAL, 11, 5)


@pytest.fixture
def noted(db_store):
    context = PoolContext(settings=Settings(), queues=Queues(), alias="default")
    session = type("Session", (), {"store": lambda self: db_store})()
    return Losses(context, session)


def test_the_newest_losses_wait_for_the_database(noted):
    for pid in range(ROOM + 3):
        noted.note_death(Death(1, pid, 7, 0, 0, Cause.SIGNAL, 9), NOTHING, "worker 1", None)
    noted.write()
    assert sorted(Loss.objects.values_list("pid", flat=True)) == list(range(3, ROOM + 3))
    noted.write()
    assert Loss.objects.count() == ROOM


def test_only_a_death_of_a_worker_that_had_a_lease_is_noted(noted):
    noted.note_death(Death(1, 1, 0, 0, 0, Cause.EXIT, 70), NOTHING, "worker 1", None)
    noted.note_death(Death(1, 1, 7, 0, 0, Cause.EXIT, 0), NOTHING, "worker 1", None)
    assert noted.due > 2**62
    noted.note_death(Death(1, 1, 7, 0, 0, Cause.EXIT, 70), NOTHING, "worker 1", None)
    assert noted.due == 0


def test_the_last_runs_and_the_memory_are_kept(noted):
    slot = child_of_no_pool("worker").slot
    row = slot.counters.row(key("shop.send", "mail"))
    for number in range(RUNS + 4):
        slot.last_runs.add(LastRun(number, 1, row, 1, 0, 1_500_000, 0, End.DONE))
    done = [Ending(RUNS + 3, 1, "finish", ()), Ending(77, 2, "retry", ("", "", "", "", ""))]
    runs = last_runs(slot, done)
    assert len(runs) == RUNS
    # What was not measured yet comes last, without its name.
    assert runs[0] == (5, 1, "shop.send", "done", 0.002)
    assert runs[-2:] == [(RUNS + 3, 1, "shop.send", "done", 0.002), (77, 2, "", "retried", None)]
    box = Box("shop.send", "a \ud800 stack\0", (Sample(1.5, 10), Sample(0.5, 20)))
    noted.note_death(DEATH, Left(done, box, runs), "worker 1", None)
    noted.write()
    loss = Loss.objects.get()
    assert loss.name == "shop.send"
    assert loss.samples == [Sample(1.5, 10), Sample(0.5, 20)]
    assert loss.runs.startswith('[[5,1,"shop.send","done",0.002],')


@pytest.mark.parametrize("odd", ["", "null", "[1]", '[["a",{}]]', "[" * 10_000])
def test_a_column_that_somebody_wrote_by_hand_is_no_error(transactional_db, odd):
    Loss.objects.create(pid=1, task_id=0, attempt=0, cause="x", memory=odd)
    assert Loss.objects.get().sentence == "x"


# Pruning


def test_old_losses_are_pruned_in_batches_oldest_first(db_store):
    for days in (0, 20, 40, 50):
        at = timezone.now() - datetime.timedelta(days=days)
        Loss.objects.create(at=at, pid=days, task_id=0, attempt=0, cause="x")
    month = 30 * 86400.0
    assert db_store.losses.prune(None, 10) == 0
    assert db_store.losses.prune(month, 1) == 1
    assert set(Loss.objects.values_list("pid", flat=True)) == {0, 20, 40}
    assert db_store.losses.prune(month, 10) == 1
    assert set(Loss.objects.values_list("pid", flat=True)) == {0, 20}


@pytest.mark.postgresql
def test_pruning_starts_at_the_oldest_and_stops_at_its_limit(raw_losses):
    nodes, pages = explain(raw_losses, losses.PRUNE, {"ttl": 3600.0, "limit": 10})
    assert indexes(nodes) == {"taskq_loss_at", "taskq_loss_pkey"}
    assert pages < 100


@pytest.fixture
def raw_losses(transactional_db):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO taskq_loss (at, pool, host, worker, pid, task_id, attempt, name, queue, "
            "cause, place, stack, memory, runs, version) "
            "SELECT now() - n * interval '1 minute', '', '', '', 1, n, 1, '', '', '', '', '', "
            "'[]', '[]', '' FROM generate_series(1, 20000) n"
        )
        cursor.execute("VACUUM ANALYZE taskq_loss")
    found = connection.connection
    assert isinstance(found, psycopg.Connection)
    return found


def test_each_way_to_end_has_a_name_in_the_last_runs():
    assert endings.ENDS.keys() == endings.COLUMNS.keys()
