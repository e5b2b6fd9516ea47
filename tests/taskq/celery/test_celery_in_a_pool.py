"""Celery's classes, states, signals and limits in a pool, and a project that has moved."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from django.db import connection

from stress.rig.pools import wait_until
from taskq import __file__ as taskq_file
from taskq.celery import AsyncResult, current_app
from tests.project.lab import classes

pytestmark = pytest.mark.django_db(transaction=True)


def test_hooks_in_a_pool(start_pool, runs, drained):
    start_pool("-c", 1)
    given = str(uuid.uuid4())
    results = {
        "a": classes.noted.apply_async(("a",), task_id=given),
        "b": classes.noted.delay("b", "raise"),
        "c": classes.noted.delay("c", "retry"),
        "d": classes.noted.delay("d", "ignore"),
    }
    drained()
    kinds = {key: [run["kind"] for run in runs(key=key)] for key in results}
    assert kinds == {
        "a": ["before", "success", "after"],
        "b": ["before", "failure", "after"],
        "c": ["before", "retry", "before", "success", "after"],
        "d": ["before"],
    }
    assert runs("before", "a")[0]["id"] == given
    assert AsyncResult(given).get(timeout=0) == "default"
    assert runs("success", "c")[0]["value"] == "mail"
    # One instance has run them all, in the worker's process.
    before = runs("before")
    assert [run["runs"] for run in before] == list(range(1, 6))
    assert len({run["pid"] for run in before} - {os.getpid()}) == 1
    assert results["b"].failed()
    assert results["d"].state == "PENDING"


def test_hooks_of_a_task_whose_worker_died_once_too_often(start_pool, runs):
    pool = start_pool("-c", 1)
    result = classes.noted.delay("a", "die")
    wait_until(lambda: runs("after", "a"), what="it is told of its failure")
    assert [run["kind"] for run in runs(key="a")] == [*["before"] * 3, "failure", "after"]
    (failure,) = runs("failure", "a")
    assert failure["error"].startswith("WorkerLost(")
    assert failure["pid"] == pool.children("keeper")["keeper"]
    assert result.failed()


def test_a_state_is_seen_while_the_task_runs(start_pool, tmp_path, drained):
    start_pool("-c", 1)
    path = tmp_path / "go"
    result = classes.say_and_wait.delay("a", str(path))
    if connection.vendor == "sqlite":
        path.touch()  # the transaction of the task holds the only writer
    else:
        wait_until(lambda: result.state == "PROGRESS", what="the state is there")
        assert (result.info, result.ready()) == ({"key": "a"}, False)
        path.touch()
    drained()
    assert result.state == "SUCCESS"


def test_control_sees_what_a_pool_does(start_pool, tmp_path, drained):
    pool = start_pool("-c", 1, "-Q", "default,mail")
    inspect = current_app.control.inspect
    ((name, answer),) = [pair for each in current_app.control.ping() for pair in each.items()]
    assert (name.split("@")[0], answer) == ("worker 1", {"ok": "pong"})
    assert current_app.control.inspect(destination=["other"]).ping() is None
    path = tmp_path / "go"
    result = classes.wait_for.delay("a", str(path))
    classes.noted.apply_async(("later",), countdown=3600)
    wait_until(lambda: inspect().active()[name], what="the task runs")
    (running,) = inspect().active()[name]
    assert (running["id"], running["args"]) == (result.id, ["a", str(path)])
    assert [each["request"]["args"] for each in inspect().scheduled()["all"]] == [["later"]]
    assert inspect().active_queues()[name] == [{"name": "default"}, {"name": "mail"}]
    assert inspect().stats()[name]["pid"] in pool.children("worker").values()
    assert classes.noted.name in inspect().registered()[name]
    assert inspect().reserved() == inspect().revoked() == {name: []}
    assert inspect().query_task(result.id)["all"][result.id][1]["name"] == result.name
    current_app.control.cancel_consumer("mail")
    path.touch()
    wait_until(result.ready, what="it is done")
    classes.noted.apply_async(("paused",), queue="mail")
    assert current_app.control.purge() == 2
    current_app.control.add_consumer("mail")


def test_the_limits_of_one_call(start_pool, runs, drained):
    pool = start_pool("-c", 1)
    classes.sleep_until_warned.apply_async(("soft",), soft_time_limit=0.3)
    wait_until(lambda: runs("warned", "soft"), what="it was warned")
    drained()
    result = classes.sleep_until_warned.apply_async(("hard",), time_limit=0.3)
    wait_until(result.failed, what="it was killed at its limit")
    pool.wait_for_log("time limit")
    assert not runs("warned", "hard")


def test_celerys_signals_of_a_pool(start_pool, runs, drained):
    pool = start_pool("-c", 1, TASKQ_TEST_CELERY_SIGNALS="1")
    classes.noted.delay("a")
    classes.noted.delay("b", "raise")
    drained()
    wait_until(lambda: runs("signal", "worker_ready"), what="worker_ready was sent")
    pool.stop()
    where = {}
    for run in runs("signal"):
        where.setdefault(run["key"], []).append(run["pid"])
    for name in ("celeryd_init", "setup_logging", "worker_init"):
        assert where[name] == [pool.pid]
    (worker,) = where["worker_process_init"]
    assert worker != pool.pid
    assert where["worker_process_shutdown"] == [worker]
    assert where["task_prerun"] == where["task_postrun"] == [worker, worker]
    assert where["task_failure"] == [worker]
    assert worker not in where["worker_ready"]


PROJECT = {
    "proj/__init__.py": """
from proj.celery import app as celery_app

__all__ = ("celery_app",)
""",
    "proj/celery.py": """
import os

from taskq.celery import Celery, Task, signals
from taskq.celery.schedules import crontab
from taskq.celery.utils.log import get_task_logger

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")

app = Celery("proj")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
logger = get_task_logger(__name__)


class Base(Task):
    queue = "slow"

    def on_success(self, retval, task_id, args, kwargs):
        logger.info("on_success of %s", self.name)


@app.task(bind=True, base=Base, ignore_result=True)
def debug_task(self):
    logger.info("the request is %r", self.request.task)


@app.on_after_configure.connect
def setup_periodic_tasks(sender, **kwargs):
    sender.add_periodic_task(crontab(minute=0), debug_task.s(), name="hourly")


@signals.worker_process_init.connect
def start(**kwargs):
    logger.info("a worker starts")
""",
    "proj/settings.py": """
from taskq.celery.schedules import crontab

SECRET_KEY = "x"
INSTALLED_APPS = ["taskq", "proj.shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3",
    "OPTIONS": {"transaction_mode": "IMMEDIATE"}}}
CELERY_BEAT_SCHEDULE = {
    "daily": {"task": "proj.shop.tasks.add", "schedule": crontab(hour=3), "args": (1, 2)},
}
CELERY_TASK_ROUTES = {"proj.shop.*": {"queue": "shop"}}
CELERY_BROKER_URL = "redis://"
""",
    "proj/shop/__init__.py": "",
    "proj/shop/tasks.py": """
from taskq.celery import shared_task


@shared_task
def add(a, b):
    return a + b
""",
    "send.py": """
import django

django.setup()
from proj.celery import debug_task
from proj.shop.tasks import add

debug_task.delay()
print(add.delay(1, 2).queue, debug_task.delay().queue)
""",
}


@pytest.mark.sqlite  # the project has a database of its own
def test_a_project_as_celerys_users_have_it(tmp_path):
    """Its package imports the app, and so it is imported before Django's settings are there."""
    for name, text in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    root = str(Path(taskq_file).resolve().parents[1])

    def run(*words):
        answer = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "proj.settings",
                "PYTHONPATH": os.pathsep.join([str(tmp_path), root]),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert answer.returncode == 0, answer.stdout
        return answer.stdout

    assert "nothing here: CELERY_BROKER_URL." in run("-m", "django", "check")
    run("-m", "django", "migrate", "-v", "0")
    assert run("send.py").endswith("shop slow\n")
    said = run("-m", "django", "taskq_pool", "-c", "1", "--burst")
    assert "schedules 2: daily, hourly" in said
    for text in ("a worker starts", "the request is 'proj.celery.debug_task'", "on_success of"):
        assert text in said
