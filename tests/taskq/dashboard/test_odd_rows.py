"""Rows that somebody has written by SQL: each page still opens, and shows the others."""

from __future__ import annotations

import pytest
from django.db import connection

from taskq.models import Edge, FinishedTask, Rollup, Schedule, SentWorkflow, Task
from taskq.models.statistics import Step
from tests.taskq.admin.odd_rows import put
from tests.taskq.admin_site import text

from .site import NAMES, OVERVIEW, RUNS, SCHEDULES, WORKERS, WORKFLOWS, ran, rolled_up, words

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("end", [-1, 9, 32767])
def test_a_run_with_an_end_that_this_version_does_not_know(root, end):
    put(ran("shop.odd"), **{'"end"': end})
    ran("shop.good")
    for url in (OVERVIEW, RUNS):
        page = words(root.get(url))
        assert "shop.odd" in page
        assert "shop.good" in page


@pytest.mark.parametrize("pk", [-(2**63), -7])
def test_a_workflow_and_a_schedule_below_0_have_their_pages(root, pk):
    SentWorkflow.objects.create(pk=pk, name="below", steps="[]", edges="[]", tasks="[]")
    Task.objects.create(name="step of below", workflow_id=pk)
    Schedule.objects.create(
        **{"pk": pk, "name": "below", "task": "a", "schedule": "* * * * *", "time_zone": "UTC"},
        **{"catch_up": "once", "payload": "[[],{}]", "queue": "q", "priority": 0, "max_losses": 3},
    )
    for url in (WORKFLOWS, SCHEDULES, f"{WORKFLOWS}{pk}/", f"{SCHEDULES}{pk}/"):
        assert "below" in text(root.get(url))
    assert "below" in text(root.get(f"/taskq/task/{Task.objects.get().pk}/"))


def test_a_number_that_no_row_can_have_is_not_found(root):
    for number in (-(2**64), 2**64, 10**40):
        assert root.get(f"{WORKFLOWS}{number}/").status_code == 404
        assert root.get(f"{SCHEDULES}{number}/").status_code == 404


GRAPHS = [
    {"steps": "[" * 100_000 + "]" * 100_000},
    {"edges": "[" * 100_000 + "]" * 100_000},
    {"steps": '[{"name": 7}]', "tasks": "[1]"},
    {"steps": '[{"name": "a"}]', "tasks": f"[{2**70}]"},
    {"tasks": "{}", "edges": '[{"part": 0}]'},
]


@pytest.mark.parametrize("columns", GRAPHS)
def test_a_workflow_whose_graph_cannot_be_read(root, columns):
    SentWorkflow.objects.create(
        pk=5, name="odd", **{"steps": "[]", "edges": "[]", "tasks": "[]", **columns}
    )
    Edge.objects.create(step_id=1, place=0, part_id=2)
    for url in (WORKFLOWS, f"{WORKFLOWS}5/"):
        assert "odd" in text(root.get(url))


LATE = {"postgresql": ["infinity", "294276-01-01"], "sqlite": ["infinity", "9999-12-31 23:59:59"]}


@pytest.mark.parametrize("at", [*LATE[connection.vendor], "2999-01-01"])
@pytest.mark.parametrize("step", Step)
def test_figures_of_another_time_hide_none_of_now(root, settings, at, step):
    settings.TIME_ZONE = "Asia/Tokyo"
    rolled_up("shop.pay", done=10)
    put(Rollup.objects.create(step=step, at="2026-01-01T00:00Z", name="odd", queue="q"), at=at)
    for url in (OVERVIEW, WORKERS, f"{NAMES}?window=day", f"{OVERVIEW}?window=day"):
        text(root.get(url))
    assert "shop.pay 100 % 10" in words(root.get(f"{NAMES}?window=day"))


DAYS = {
    "postgresql": ["infinity", "-infinity", "0044-03-15 BC", "5874897-12-31"],
    "sqlite": ["infinity", "", "2026-02-30", 7, b"\xff"],
}[connection.vendor]


@pytest.mark.parametrize("day", DAYS)
def test_a_finished_task_that_is_kept_until_a_day_that_python_does_not_have(root, day):
    moments = dict.fromkeys(
        ("created_at", "execute_at", "started_at", "finished_at"), "2026-01-01T00:00Z"
    )
    row = FinishedTask.objects.create(
        **{"id": 7, "name": "odd", "payload": "[[],{}]", "queue": "q", "priority": 0},
        **{"worker": "w", "attempt": 1, "retries": 0, "expires_on": "2026-01-01"},
        **moments,
    )
    put(row, expires_on=day)
    for url in ("/admin/taskq/finishedtask/", "/admin/taskq/finishedtask/7/change/"):
        assert "odd" in text(root.get(url))


@pytest.mark.postgresql
def test_two_finished_tasks_with_one_id_and_no_worker(root):
    """The sequence of ids was set back, and the rows were written by hand."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO taskq_finished (id, name, payload, queue, priority, created_at, "
            "execute_at, started_at, finished_at, worker, attempt, retries, expires_on) "
            "SELECT 7, name, '[[],{}]', 'q', 0, now(), now(), now(), now(), '', 1, 0, day "
            "FROM (VALUES ('odd', DATE '2026-01-01'), ('even', DATE '2026-01-02')) AS o (name, day)"
        )
    page = text(root.get("/admin/taskq/finishedtask/"))
    assert "odd" in page
    assert "even" in page
