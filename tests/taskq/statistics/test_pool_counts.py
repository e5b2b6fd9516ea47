"""Real pools measure what they run, and lose no count when the keeper dies."""

import datetime
import os
import signal

from django.utils import timezone

from stress.rig.pools import wait_until
from taskq import statistics
from taskq.models import RecentRun, Rollup
from taskq.models.statistics import Step
from taskq.task.measures import End
from tests.project.lab import tasks

LAB = "tests.project.lab.tasks"


def figures():
    since = timezone.now() - datetime.timedelta(hours=1)
    return statistics.figures("default", since=since)


def ends(name):
    found = figures().get(f"{LAB}.{name}", statistics.Figures())
    return found.done, found.failed, found.retried, found.lost, found.cancelled


def test_each_run_is_counted_by_how_it_ended(start_pool, drained):
    began = timezone.now()
    pool = start_pool("-c", 2)
    tasks.quick.delay_many([(n,) for n in range(500)])
    tasks.nap.delay("slow", 0.2)
    tasks.fail.delay("f")
    tasks.fail_and_retry.delay("r")
    drained()
    assert pool.stop() == 0  # what is counted last is written at the end
    assert ends("quick") == (500, 0, 0, 0, 0)
    assert ends("fail") == (0, 1, 0, 0, 0)
    assert ends("fail_and_retry") == (0, 1, 2, 0, 0)
    nap = figures()[f"{LAB}.nap"]
    assert 0.2 <= nap.run_seconds < 30
    assert nap.run_time(0.5) > 0.1
    by_queue = statistics.figures("default", since=began, by="queue")
    assert {*by_queue} == {"default"}


def test_a_run_that_was_lost_is_counted_by_the_keeper(start_pool, runs):
    start_pool("-c", 1)
    tasks.nap_once.delay("x", 600)
    (run,) = wait_until(lambda: runs("start", "x"))
    os.kill(run["pid"], signal.SIGKILL)
    wait_until(lambda: ends("nap_once") == (0, 0, 0, 1, 0), what="the loss to be counted")
    lost = RecentRun.objects.get(name=f"{LAB}.nap_once")
    assert (lost.end, lost.worker, lost.attempt) == (End.LOST, "worker 1", 1)


def test_the_last_runs_of_each_name_are_written_within_moments(start_pool, drained):
    start_pool("-c", 1)
    tasks.quick.delay("a")
    tasks.add.delay(1, 2)
    wait_until(lambda: RecentRun.objects.count() == 2, what="the runs to be written")
    run = RecentRun.objects.get(name=f"{LAB}.add")
    assert (run.queue, run.worker, run.end) == ("default", "worker 1", End.DONE)
    assert abs(timezone.now() - run.started_at) < datetime.timedelta(minutes=2)
    assert 0 <= run.seconds < 30
    assert 0 <= run.wait < 60


def test_a_keeper_that_is_killed_costs_no_count_and_doubles_none(start_pool, drained):
    pool = start_pool("-c", 2)
    for round in range(4):
        tasks.quick.delay_many([(n,) for n in range(300)])
        drained()
        if round == 1:  # what it has written is written again by the next
            wait_until(lambda: ends("quick")[0] > 0, what="the minute to be written")
        keeper = pool.children("keeper")["keeper"]
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: pool.children("keeper").get("keeper", keeper) != keeper)  # noqa: B023
    assert pool.stop() == 0
    assert ends("quick") == (1200, 0, 0, 0, 0)


def test_nothing_is_measured_where_the_setting_says_so(start_pool, drained, environment):
    environment["TASKQ_STATISTICS"] = "false"
    pool = start_pool("-c", 1)
    tasks.quick.delay_many([(n,) for n in range(50)])
    drained()
    assert pool.stop() == 0
    assert not Rollup.objects.exists()
    assert not RecentRun.objects.exists()


def test_two_pools_write_rows_of_their_own(start_pool, drained):
    pools = [start_pool("-c", 1), start_pool("-c", 1)]
    wait_until(lambda: tasks.nap.delay("x", 0.01) and drained() is None and both_have_run())
    for pool in pools:
        assert pool.stop() == 0
    assert ends("nap")[0] == sum(Rollup.objects.values_list("done", flat=True))


def both_have_run():
    tasks.nap.delay_many([("x", 0.05) for _ in range(20)])
    return Rollup.objects.filter(step=Step.MINUTE).values("pool").distinct().count() == 2
