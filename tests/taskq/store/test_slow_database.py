"""Each round trip to the database takes long: slower, never wrong."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from stress.rig.pools import wait_until
from taskq.models import Worker
from tests.project.lab import tasks

pytestmark = pytest.mark.postgresql


def test_many_dead_workers_to_reclaim_cost_the_living_no_lease(start_pool, far_away, runs):
    proxy, url = far_away
    pool = start_pool("-c", 1, "--lease", 6, "--heartbeat", 1, DATABASE_URL=url)
    tasks.nap.delay("a", 12)
    wait_until(lambda: runs("start", "a"), what="the task at work")
    proxy.forward(delay=0.02)
    # A host with many workers is gone: to reclaim from all of them takes 20 s.
    expired = timezone.now() - datetime.timedelta(seconds=1)
    lost = [
        Worker(pool="gone:1", host="gone", pid=pid, name=f"worker {pid}", lease_expires_at=expired)
        for pid in range(90)
    ]
    Worker.objects.bulk_create(lost)
    wait_until(lambda: runs("end", "a"), what="the task done")
    proxy.forward()
    wait_until(lambda: not Worker.objects.filter(host="gone").exists(), what="all taken back")
    assert len(runs("start", "a")) == 1
    assert "died:" not in pool.log()
