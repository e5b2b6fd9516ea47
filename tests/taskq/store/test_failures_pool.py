"""A kind of failures that a pool works off, while it runs what is retried."""

from __future__ import annotations

from collections import Counter

from django.db.models.functions import Now

from pool import clock
from stress.rig.pools import wait_until
from taskq import failures
from taskq.models import State, Task
from taskq.task import payload
from taskq.tasks import work_off_failures
from tests.project.lab import tasks as lab

TRACEBACK = 'Traceback (most recent call last):\n  File "/srv/a.py", line 3, in pay\n    x()\nE: e'


def test_all_of_a_kind_run_again_once_at_the_pace(start_pool, runs):
    count, pace = 60, 20
    Task.objects.bulk_create(
        Task(
            name=lab.quick.name,
            payload=payload.encode((f"key {number}",), {}, task=lab.quick.name),
            state=State.FAILED,
            attempt=1,
            error="E: e",
            traceback=TRACEBACK,
            failed_at=Now(),
        )
        for number in range(count)
    )
    (group,) = failures.groups("default").all
    kind = (group.kind.name, group.kind.error, group.kind.place)
    start_pool("-c", 1)
    work_off_failures.delay("retry", *kind, group.last.isoformat(), pace)
    wait_until(lambda: not Task.objects.exists(), what="all ran")
    starts = runs("start")
    assert {*Counter(run["key"] for run in starts).values()} == {1}
    assert len(starts) == count
    # Three steps, with a second between them.
    assert starts[-1]["at"] - starts[0]["at"] > 1.5 * clock.SECOND
