"""Rows that taskq has not written, in the admin and in ``taskq_status``: they are shown."""

from __future__ import annotations

import itertools
import json
import re
import time

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.db.models import Min
from django.db.models.functions import Now
from django.test import RequestFactory
from django.urls import reverse

from taskq.admin import TaskAdmin
from taskq.models import Result, Schedule, State, Task, Worker
from taskq.task import payload
from tests.taskq.admin.odd_rows import everything_opens, put, status
from tests.taskq.admin_site import HOUR, LIST, SUMMARY, WORKERS, act, failed, listed, page, text

pytestmark = pytest.mark.django_db

#: Values that a column of times can hold, and Python's datetime cannot.
TIMES = {
    "postgresql": ["infinity", "-infinity", "4713-01-01 BC", "0001-01-01", "294276-12-31"],
    "sqlite": [
        "infinity",
        "",
        "yesterday",
        "-4713-01-01",
        "2026-02-30 10:00:00",
        7,
        b"\xff",
        "now",
    ],
}[connection.vendor]


def times_of(model):
    fields = model._meta.concrete_fields
    return [field.column for field in fields if field.get_internal_type() == "DateTimeField"]


@pytest.mark.parametrize("moment", TIMES)
def test_times_that_python_does_not_have_and_unknown_states_are_shown(root, capsys, moment):
    tasks = []
    for state in (*State, 7, -1):
        worker = Worker.objects.create(
            pool="a:1", name=f"worker {state}", host="a", pid=1, lease_expires_at=Now()
        )
        put(worker, **dict.fromkeys(times_of(Worker), moment))
        tasks.append(Task.objects.create(name="odd", worker=worker))
        put(tasks[-1], state=state, **dict.fromkeys(times_of(Task), moment))
        text(root.get(f"{WORKERS}{worker.pk}/change/"))
    other = failed("other")
    everything_opens(root, tasks)
    text(root.get(f"{WORKERS}?q=worker"))
    assert listed(root) == {*(task.pk for task in tasks), other.pk}
    shown = {each["worker"]: each["name"] for each in status(capsys)["workers"]}
    running = f"worker {State.RUNNING:d}"
    assert shown == {name: "odd" if name == running else None for name in shown}
    assert running in shown


@pytest.mark.parametrize("moment", TIMES)
def test_so_are_those_of_results_and_schedules(root, moment):
    result = Result.objects.create(
        **{"id": 1, "name": "a", "payload": "[[", "queue": "q", "priority": 0, "worker": "w"},
        **{"created_at": Now(), "started_at": Now(), "finished_at": Now(), "value": "no JSON"},
        history="neither\n[]\n"
        + json.dumps({"worker": 1, "error": 2, "traceback": 3, "started_at": 4}),
    )
    schedule = Schedule.objects.create(
        **{"name": "s", "task": "t", "schedule": "?", "time_zone": "America", "catch_up": "x"},
        **{"payload": "", "queue": "q", "priority": 0, "max_losses": 3},
    )
    for row in (result, schedule):
        put(row, **dict.fromkeys(times_of(type(row)), moment))
        kind = f"admin:taskq_{row._meta.model_name}"
        text(root.get(reverse(f"{kind}_changelist")))
        text(root.get(reverse(f"{kind}_change", args=[row.pk])))


@pytest.mark.postgresql
def test_a_time_out_of_range_is_read_as_the_nearest_and_compared_as_it_is():
    late, early = Task.objects.create(name="late"), Task.objects.create(name="early")
    put(late, execute_at="infinity")
    put(early, execute_at="-infinity", expires_at="12-03-04 BC")
    assert Task.objects.get(pk=late.pk).execute_at.year == 9999
    assert Task.objects.get(pk=early.pk).execute_at.year == 1
    assert Task.objects.get(pk=early.pk).expires_at.year == 1
    assert Task.objects.get(pk=late.pk).expires_at is None
    assert Task.objects.aggregate(first=Min("execute_at"))["first"].year == 1
    assert list(Task.objects.future()) == [late]
    assert list(Task.objects.pending()) == [early]


def test_what_is_distinct_can_be_ordered_by_a_time():
    for name in ("a", "b"):
        Task.objects.create(name=name)
    found = Task.objects.order_by("execute_at").distinct().values_list("name", flat=True)
    assert list(found) == ["a", "b"]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("stored", "time"),
    [
        ("2026-01-02 03:04:05", "03:04:05"),
        ("2026-01-02 03:04:05.678901", "03:04:05.678901"),
        ("2026-01-02T03:04:05.5Z", "03:04:05.500000"),
        ("2026-01-02", "00:00:00"),
    ],
)
def test_a_time_that_is_one_stays_to_the_microsecond(stored, time):
    task = Task.objects.create(name="a")
    put(task, execute_at=stored)
    assert Task.objects.get().execute_at.isoformat(" ") == f"2026-01-02 {time}+00:00"


ODD = {
    "priority": [-32768, 32767],
    "retries": [-(2**31), 2**31 - 1],
    "attempt": [-(2**31), 2**31 - 1],
    "losses": [-32768, 32767],
    "worker_id": [-1, 0, 2**63 - 1],
    "id": [-(2**63), -1, 0, 2**63 - 1],
    "name": ["", "\x1b[31m", "a\nb", "<b>", "..", "/", "é" * 255],
    "queue": ["", "\x1b[31m", "[/red]", "<b>"],
    "payload": [
        "",
        "[[",
        "null",
        '[["\\ud800"],{"\\ud800": 1},{"\\ud800": "\\udfff"}]',
        "[[" + "9" * 5000,
    ],
    "error": ["\x1b]0;title\x07", "e" * 10_000_000, "\x85\u2028"],
    "traceback": ["\x1b[2J", "t" * 10_000_000],
    "history": ["", "[", "{}", "null\nnull"],
    "progress": ["", "[]", "7", '{"attempt": 1}', '{"attempt": 1, "done": "x", "total": -1}'],
    "unique_key": ["\x1b", ""],
    "unique_until": ["never"],
    "unique_place": [-32768, 5],
}


@pytest.mark.parametrize("column", ODD)
def test_any_value_that_a_column_can_hold_is_shown(root, capsys, good_worker, column):
    tasks = []
    # Each value in one state: in turn, as all of them in all states take long.
    for value, state in zip(ODD[column], itertools.cycle(State)):
        task = Task.objects.create(name="odd", state=state, worker=good_worker, attempt=1)
        put(task, **{column: value})
        if column == "id":
            task.pk = value
        tasks.append(task)
    everything_opens(root, tasks)
    status(capsys)
    call_command("taskq_top", "--once")
    assert "\x1b" not in capsys.readouterr().out
    for verb in ("retry_selected", "cancel_selected", "delete_selected"):
        text(act(root, verb, *tasks, post="yes"))


def test_deeply_nested_arguments_show_at_once(root):
    nested = "leaf"
    for _ in range(200):
        nested = [nested, *[1] * 240]
    stored = payload.encode([nested], {})
    assert 90_000 < len(stored) < 100_000
    task = Task.objects.create(name="deep", payload=stored)
    began = time.process_time()
    shown = text(root.get(page(task)))
    assert time.process_time() - began < 1  # a tenth here; with pprint 3 seconds
    assert "&#x27;leaf&#x27;" in shown


def test_long_texts_are_cut_on_the_page(root):
    task = failed(error="e" * 10_000_000, traceback="t" * 10_000_000)
    assert len(text(root.get(page(task)))) < 300_000


def test_times_are_shown_with_seconds(root):
    task = Task.objects.create(name="a", execute_at="2031-02-03T04:05:06Z")
    for url in (LIST, page(task)):
        shown = re.sub("<[^>]*>", "", text(root.get(url)))
        assert "2031-02-03 04:05:06" in shown


def test_the_summary_counts_what_a_subclass_lets_one_see(rf: RequestFactory, django_user_model):
    class OnlyMail(TaskAdmin):
        def get_queryset(self, request):
            return super().get_queryset(request).filter(queue="mail")

    Task.objects.create(name="is.mail", queue="mail", execute_at=Now() + HOUR)
    Task.objects.create(name="is.mail", queue="mail")
    Task.objects.create(name="is.secret")
    request = rf.get(SUMMARY)
    request.user = django_user_model.objects.create_superuser("root")
    view = OnlyMail(Task, admin.site).summary_view(request)
    (row,) = view.context_data["rows"]
    assert (row.name, row.total) == ("is.mail", 2)
