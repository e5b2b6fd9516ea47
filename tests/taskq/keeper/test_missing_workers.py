"""Tasks that are held by workers of which the table of workers knows nothing: it was emptied, or
the tasks were restored without it."""

import pytest
from django.utils import timezone

from stress.rig.pools import wait_until
from taskq.models import State, Task, Worker
from tests.project.lab import tasks

SHORT = ("--lease", 6, "--heartbeat", 1, "--poll", 0.5)


def test_tasks_of_a_lost_host_are_taken_back_though_its_workers_are_in_no_table(
    start_pool, runs, drained
):
    gone = start_pool("-c", 1, *SHORT)
    tasks.nap_at_first.delay("a", 60)
    wait_until(lambda: runs("start", "a"))
    gone.kill_all()
    Worker.objects.all().delete()
    pool = start_pool("-c", 1, *SHORT)
    drained()
    assert len(runs("start", "a")) == 2
    pool.wait_for_log("1 workers hold tasks and are not in the table of workers")


@pytest.mark.parametrize("holder", [None, 0, -7, 4711], ids=str)
def test_tasks_that_were_restored_as_running_are_run(start_pool, runs, drained, holder):
    ids = [tasks.quick.delay(key).id.int for key in "ab"]
    Task.objects.update(state=State.RUNNING, worker=holder, attempt=1, started_at=timezone.now())
    start_pool("-c", 1, *SHORT)
    drained()
    assert [len(runs("start", key)) for key in "ab"] == [1, 1], ids


def test_who_works_on_when_the_workers_are_deleted_overlaps_with_nobody(start_pool, runs, drained):
    """Its lease is put back before it misses it, or its pool stops it at the next renewal; no
    other gets its tasks before that."""
    for _ in range(2):
        start_pool("-c", 1, *SHORT)
    for key in "ab":
        tasks.nap.delay(key, 8)
    wait_until(lambda: runs("start", "a") and runs("start", "b"))
    Worker.objects.all().delete()
    drained()
    for key in "ab":
        (end,) = runs("end", key)
        assert end["pid"] == runs("start", key)[-1]["pid"]
    # Who got its lease back has one under its own name soon.
    ours = Worker.objects.filter(name__in=["keeper", "worker 1"], pid__gt=0)
    wait_until(lambda: ours.count() == Worker.objects.count() == 4)
