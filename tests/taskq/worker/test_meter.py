"""What a worker measures of its runs."""

import datetime

import pytest
from django.db import connection
from django.db.models.functions import Now

from taskq.models import Task
from taskq.task.measures import Figures, key
from tests.project.lab import tasks
from tests.taskq.conftest import worker_of_no_pool


@pytest.fixture
def by_hand(worker):
    return worker_of_no_pool(worker.id)


def figures(by_hand):
    rows = dict(by_hand.slot.counters.read())
    row = rows.get(key("tests.project.lab.tasks.quick", "default"))
    return Figures.of(row) if row else Figures()


def test_a_run_is_counted_once_the_worker_looks_for_more(by_hand):
    tasks.quick.delay_many([("a",), ("b",)])
    by_hand.perform(by_hand.fetch())
    assert figures(by_hand).done == 0
    by_hand.perform(by_hand.fetch())
    assert figures(by_hand).done == 1
    by_hand.leave()
    assert figures(by_hand).done == 2
    ids = [run.task for run in by_hand.slot.last_runs.since(0)]
    assert len(ids) == 2
    assert ids == sorted(ids)


def test_the_wait_is_from_the_due_time_to_the_start(by_hand):
    tasks.quick.delay("a")
    Task.objects.update(execute_at=Now() - datetime.timedelta(seconds=100))
    by_hand.perform(by_hand.fetch())
    by_hand.meter.flush()
    assert 100 <= figures(by_hand).wait_seconds < 200
    (run,) = by_hand.slot.last_runs.since(0)
    assert 100e9 <= run.waited < 200e9


@pytest.mark.postgresql
def test_a_due_time_of_the_distant_past_harms_nothing(by_hand):
    tasks.quick.delay("a")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE taskq_task SET execute_at = '-infinity'")
    by_hand.perform(by_hand.fetch())
    by_hand.meter.flush()
    assert figures(by_hand).done == 1
