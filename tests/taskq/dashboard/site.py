"""The dashboard as its tests use it: its pages, and the figures that pools would have written."""

from __future__ import annotations

import datetime
import re
import uuid

from django.utils import timezone

from taskq.models import RecentRun, Rollup
from taskq.models.statistics import RUN_COLUMNS, WAIT_COLUMNS, Step
from taskq.task.measures import End
from tests.taskq.admin_site import text

OVERVIEW = "/taskq/"
QUEUES = "/taskq/queues/"
NAMES = "/taskq/names/"
NAME = "/taskq/name/"
WORKERS = "/taskq/workers/"
RUNS = "/taskq/runs/"
FAILURES = "/taskq/failures/"
SCHEDULES = "/taskq/schedules/"
WORKFLOWS = "/taskq/workflows/"


def words(answer):
    """A page without its tags. What is in one word has no gap."""
    page = re.sub(r"<(wbr|/?span[^>]*)>", "", text(answer))
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def minutes_ago(minutes):
    now = timezone.now().replace(second=0, microsecond=0)
    return now - datetime.timedelta(minutes=minutes)


def rolled_up(name="shop.pay", *, queue="default", minutes=1, run=7, wait=3, **counts):
    """What a pool has counted in a minute. run, wait: the buckets of all its runs.

    Each time it is another pool: a minute may pass between two calls.
    """
    runs = sum(counts.values())
    return Rollup.objects.create(
        **{"step": Step.MINUTE, "at": minutes_ago(minutes), "name": name, "queue": queue},
        **{"pool": uuid.uuid4().hex, RUN_COLUMNS[run]: runs, WAIT_COLUMNS[wait]: runs},
        **{"run_seconds": 0.2 * runs, "wait_seconds": 0.01 * runs, **counts},
    )


def ran(name="shop.pay", *, end=End.DONE, seconds=0.2, task_id=7, minutes=0, **fields):
    """A run that the keeper has noted."""
    given = {"queue": "default", "pool": "web-1:4711", "worker": "worker 1", "attempt": 1}
    return RecentRun.objects.create(
        **{"name": name, "end": end, "seconds": seconds, "task_id": task_id, "wait": 0.01},
        started_at=timezone.now() - datetime.timedelta(minutes=minutes),
        **(given | fields),
    )
