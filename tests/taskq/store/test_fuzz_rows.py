"""Rows of any values that the columns can hold: an innocent task and an innocent workflow behind
them start at once, no process dies, and all pages and commands answer."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import suppress

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.urls import reverse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from stress.rig.pools import wait_until
from taskq.dashboard.remembered import remembered
from taskq.metrics.site import SiteCollector
from taskq.models import Schedule, SentWorkflow, Task
from taskq.workflow import Workflow
from tests.conftest import SLACK
from tests.project.lab import steps, tasks
from tests.taskq.store.any_rows import MODELS, SCHEDULES, any_row, clear, write

#: Rows in front of each innocent task.
ROWS = 60
rows = st.lists(any_row, min_size=ROWS, max_size=ROWS)

LISTS = [
    *(
        reverse(f"admin:taskq_{model._meta.model_name}_changelist")
        for model in MODELS
        if admin.site.is_registered(model)
    ),
    *(
        reverse(f"taskq_dashboard:{page}")
        for page in ("overview", "charts", "queues", "names", "workers", "runs", "schedules")
    ),
    *(reverse(f"taskq_dashboard:{page}") for page in ("workflows", "failures", "search")),
]
#: Rows of each kind whose own pages are opened.
SOME = 5


def pages_of_rows():
    for task in Task.objects.order_by("?")[:SOME].values_list("pk", flat=True):
        yield reverse("admin:taskq_task_change", args=[task])
        yield reverse("taskq_dashboard:task", args=[task])
    for flow in SentWorkflow.objects.order_by("?")[:SOME].values_list("pk", flat=True):
        yield reverse("admin:taskq_sentworkflow_change", args=[flow])
        if flow >= 0:
            yield reverse("taskq_dashboard:workflow", args=[flow])
    for schedule in Schedule.objects.order_by("?")[:SOME].values_list("pk", flat=True):
        yield reverse("admin:taskq_schedule_change", args=[schedule])
        if schedule >= 0:
            yield reverse("taskq_dashboard:schedule", args=[schedule])


def everything_answers(client):
    remembered.forget()
    for url in (*LISTS, *pages_of_rows()):
        answer = client.get(url)
        # A pool goes on meanwhile: a row may be gone, and its page leads elsewhere.
        assert answer.status_code in (200, 302, 404), url
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SiteCollector("default"))
    assert b"taskq_workers_alive" in generate_latest(registry)
    for command in (("taskq_status", "--json"), ("taskq_status",), ("taskq_top", "--once")):
        with suppress(SystemExit):  # something is wrong, and it says so
            call_command(*command)
    for task in Task.objects.order_by("?")[:SOME].values_list("pk", flat=True):
        with suppress(CommandError):  # it is done by now
            call_command("taskq_why", str(task))


@pytest.fixture
def fuzz(start_pool, runs, root, capsys):
    schedule = {name: {"task": tasks.tick.name, "schedule": "0 * * * *"} for name in SCHEDULES}
    pool = start_pool("-c", 2, "--heartbeat", 1, TASKQ_SCHEDULE=json.dumps(schedule))
    numbers = itertools.count()
    worst, written = [0.0], []

    def behind(those):
        written.extend(write(*each) for each in those)
        key, began = f"innocent {next(numbers)}", time.monotonic()
        tasks.quick.delay(key)
        flow = Workflow(key)
        first = flow.add(steps.part, [f"{key}, part", 1])
        flow.add(steps.part, [f"{key}, step", first.result])
        flow.send()
        wait_until(lambda: runs("start", key) and runs("start", f"{key}, step"), seconds=SLACK)
        worst[0] = max(worst[0], time.monotonic() - began)
        everything_answers(root)
        log = pool.log()
        assert "died" not in log
        assert "does not answer" not in log
        assert "/taskq/keeper/" not in log  # a traceback of taskq's own code
        clear(pool.pid)

    yield behind
    capsys.readouterr()
    assert sum(written) > len(written) / 2
    print(f"the slowest innocent of {next(numbers)} started after {worst[0]:.2f} s")


ANY = settings(
    deadline=None,
    database=None,
    # A failure takes as long as the innocent is waited for: too long to try again and again.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def run(fuzz, batches):
    given(rows)(settings(ANY, max_examples=batches)(lambda those: fuzz(those)))()


def test_rows_of_any_values_stop_nobody(fuzz):
    run(fuzz, batches=6)


@pytest.mark.slow
def test_ten_thousand_rows_of_any_values_stop_nobody(fuzz):
    run(fuzz, batches=10_000 // ROWS + 1)
