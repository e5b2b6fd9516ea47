"""The metrics of all pools as a view: who may look, what it says, and what that costs."""

from __future__ import annotations

import datetime
import subprocess
import sys

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import connection
from django.db.models.functions import Now
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from taskq import metrics, pausing
from taskq.models import Rollup, State, Task, Worker
from taskq.models.statistics import Step
from taskq.workflow import Workflow
from tests.project.lab import tasks

pytestmark = pytest.mark.django_db
TOKEN = "0123456789abcdef-secret"


@pytest.fixture(autouse=True)
def with_token(settings):
    settings.TASKQ = {"METRICS_TOKEN": TOKEN}


def ask(user=None, method="get", **headers):
    request = getattr(RequestFactory(), method)("/metrics", headers=headers)
    if user is not None:
        request.user = user
    return metrics.view(request)


def samples():
    """Each sample by its name and the values of its labels, in the order of the labels' names."""
    response = ask(Authorization=f"Bearer {TOKEN}")
    assert response.status_code == 200
    return {
        (each.name, *each.labels.values()): each.value
        for family in text_string_to_metric_families(response.content.decode())
        for each in family.samples
    }


@pytest.mark.parametrize("user", [None, AnonymousUser()])
@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer ä"]
)
def test_nobody_without_a_login_or_the_token_sees_anything(user, given):
    response = ask(user, Authorization=given)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert b"taskq" not in response.content


def test_without_a_token_in_the_settings_no_token_is_right(settings):
    settings.TASKQ = {}
    for given in ("Bearer None", "Bearer ", f"Bearer {TOKEN}"):
        assert ask(Authorization=given).status_code == 401


def test_a_user_needs_the_permission_to_see_tasks():
    user = User.objects.create_user("ada")
    assert ask(user).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_task"))
    assert ask(User.objects.get()).status_code == 200
    User.objects.update(is_active=False)
    assert ask(User.objects.get()).status_code == 403


def test_only_get_and_head_are_answered_and_nothing_is_cached():
    assert ask(method="post", Authorization=f"Bearer {TOKEN}").status_code == 405
    response = ask(method="head", Authorization=f"Bearer {TOKEN}")
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]


def test_openmetrics_is_spoken_to_those_who_ask_for_it():
    accept = "application/openmetrics-text;version=1.0.0"
    response = ask(Authorization=f"Bearer {TOKEN}", Accept=accept)
    assert response["Content-Type"].startswith("application/openmetrics-text")
    assert response.content.endswith(b"# EOF\n")


def test_it_tells_how_long_the_first_of_each_lane_has_been_due():
    for queue, priority, seconds in [
        ("mail", 5, 90),
        ("mail", 5, 30),
        ("mail", 0, -60),
        ("x", 0, 0),
    ]:
        pk = tasks.noop.apply_async(queue=queue, priority=priority).id.int
        at = timezone.now() - datetime.timedelta(seconds=seconds)
        Task.objects.filter(pk=pk).update(execute_at=at)
    pausing.pause("x")
    found = samples()
    assert found["taskq_oldest_due_seconds", "5", "mail"] == pytest.approx(90, abs=60)
    assert found["taskq_oldest_due_seconds", "0", "mail"] == 0
    assert found["taskq_due_tasks", "5", "mail"] == 2
    assert found["taskq_due_tasks", "0", "mail"] == 0
    assert found["taskq_due_tasks", "0", "x"] == 1
    assert found["taskq_queue_paused", "x"] == 1
    assert ("taskq_queue_paused", "mail") not in found


def test_it_tells_whether_a_workflow_stands_still():
    flow = Workflow()
    first = flow.add(tasks.noop)
    flow.add(tasks.noop, after=[first])
    sent = flow.send()
    assert samples()[("taskq_workflow_stands_still",)] == 0
    sent.steps_left().filter(pk=sent.task_ids[0]).update(state=State.FAILED, failed_at=Now())
    assert samples()[("taskq_workflow_stands_still",)] == 1
    # There is no lane without a queue.
    assert not [key for key in samples() if key[0] == "taskq_due_tasks"]
    sent.retry_failed()
    assert samples()[("taskq_workflow_stands_still",)] == 0


def test_it_tells_of_the_runs_of_the_last_hour_in_all_pools():
    at = timezone.now().replace(second=0, microsecond=0)
    common = {"step": Step.MINUTE, "name": "shop.send", "queue": "mail"}
    Rollup.objects.create(**common, at=at, pool="a", done=7, failed=1, run_08=8, wait_02=8)
    Rollup.objects.create(**common, at=at, pool="b", done=3, lost=2, run_08=3, wait_02=3)
    old = at - datetime.timedelta(hours=2)
    Rollup.objects.create(**common, at=old, pool="a", done=100)
    found = samples()
    ends = {key[1]: value for key, value in found.items() if key[0] == "taskq_last_hour_runs"}
    assert ends == {"done": 10, "failed": 1, "retried": 0, "lost": 2, "cancelled": 0}
    assert 0.1 < found["taskq_last_hour_run_seconds", "shop.send", "0.95"] <= 0.25
    assert 0.001 < found["taskq_last_hour_wait_seconds", "shop.send", "0.5"] <= 0.0025


def test_it_counts_the_workers_whose_lease_is_good():
    def worker(name, pool, seconds):
        ends = timezone.now() + datetime.timedelta(seconds=seconds)
        Worker.objects.create(name=name, pool=pool, host="h", pid=1, lease_expires_at=ends)

    worker("worker 1", "h:1", 60)
    worker("worker 2", "h:1", 60)
    worker("worker 1", "h:2", 60)
    worker("worker 1", "h:3", -60)
    worker("keeper", "h:4", 60)
    found = samples()
    assert found[("taskq_workers_alive",)] == 3
    assert found[("taskq_pools_alive",)] == 2


def test_names_and_queues_with_odd_characters_come_back_whole():
    odd = 'a"b\\c\nd{}=ä,🦆'
    at = timezone.now().replace(second=0, microsecond=0)
    Rollup.objects.create(step=Step.MINUTE, at=at, name=odd, queue="q", pool="a", done=1)
    pausing.pause('odd\\"queue')
    found = samples()
    assert found["taskq_last_hour_runs", "done", odd] == 1
    assert found["taskq_queue_paused", 'odd\\"queue'] == 1


def test_a_scrape_takes_few_queries_and_none_counts_tasks():
    for key in range(30):
        tasks.noop.apply_async(queue=f"queue{key % 3}")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        samples()
    asked = [each["sql"] for each in queries]
    assert len(asked) <= 5
    # The one that looks at tasks counts up to a bound: tests/taskq/sql has its plan.
    assert [each for each in asked if "taskq_task" in each] == [asked[1]]
    assert "LIMIT" in asked[1]


def test_without_the_library_the_error_names_the_extra():
    script = (
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'prometheus_client' "
        "else find(name, *rest)\n"
        "import taskq.metrics\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.stderr.strip().splitlines()[-1].endswith("pip install 'taskq-pool[metrics]'")
