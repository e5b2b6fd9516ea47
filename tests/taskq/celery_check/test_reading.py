"""What the check finds in a project's code."""

from __future__ import annotations

import pytest

from taskq.celery_check.facts.fact import Verdict
from tests.taskq.celery_check.reading import TASKS, Project


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_a_plain_task_has_nothing_but_its_import(project):
    project.write("shop/tasks.py", f"{TASKS}\n@shared_task(bind=True)\ndef work(self): pass\n")
    found = project.check()
    (only,) = found.findings
    assert (only.path, only.line, only.about) == ("shop/tasks.py", 1, "from celery")
    assert only.verdict is Verdict.MOVES
    assert only.fact.says == "from taskq.celery import shared_task"
    assert (found.tasks, found.files) == (1, 1)
    assert not found.stands_in_the_way


def test_options_of_the_decorator(project):
    said = project.of("""\
        from celery import shared_task
        @shared_task(rate_limit="1/m", acks_late=True, backend=None, queue="mail", of_ours=1)
        def work(): pass
        """)
    assert said == [
        "2 rewrite @task rate_limit=",
        "2 idle @task acks_late=",
        "2 idle @task of_ours=",
    ]


def test_a_task_that_ends_its_chain_moves_and_one_that_reads_it_is_told(project):
    said = project.of("""\
        from celery import shared_task
        @shared_task(bind=True)
        def work(self):
            self.request.chain = None
            self.request.callbacks = self.request.errbacks = None
            if self.request.chain:
                self.request.chain = self.request.chain[:1]
        """)
    assert said == [
        "6 differs task.request.chain",
        "7 differs task.request.chain",
        "7 differs task.request.chain",
    ]


def test_an_option_that_is_a_typing_error_is_told_what_is_meant(project):
    project.write(
        "shop/tasks.py",
        "from celery import shared_task\n"
        "@shared_task(max_retry=3, of_ours=1, on_failure=print)\ndef work(): pass\n",
    )
    _, typo, own = project.check().findings
    assert typo.fact.says.endswith(
        "it is kept as an attribute of the task. Did you mean max_retries?"
    )
    assert own.fact.says.endswith("it is kept as an attribute of the task")


def test_the_app_of_another_module_is_known(project):
    project.write("proj/__init__.py", "from .celery import app as celery_app\n")
    project.write("proj/celery.py", "from celery import Celery\napp = Celery('proj')\n")
    for path, text in {
        "shop/a.py": "from proj.celery import app\n@app.task(rate_limit=1)\ndef a(): pass\n",
        "shop/b.py": "from proj import celery_app\n@celery_app.task(rate_limit=1)\ndef b(): pass\n",
        "proj/c.py": "from . import celery_app as x\n@x.task(rate_limit=1)\ndef c(): pass\n",
        "shop/d.py": "from flask import app\n@app.task(rate_limit=1)\ndef d(): pass\n",
    }.items():
        project.write(path, text)
    found = project.check()
    assert found.tasks == 3
    assert [each.path for each in found.findings if "rate_limit" in each.about] == [
        "proj/c.py",
        "shop/a.py",
        "shop/b.py",
    ]


def test_a_root_above_the_packages_is_no_hindrance(project):
    project.write("src/proj/celery.py", "from celery import Celery\napp = Celery('proj')\n")
    project.write("src/shop/tasks.py", "from proj.celery import app\napp.connection()\n")
    assert project.found("src/shop") == ["2 rewrite app.connection"]


def test_options_of_a_call(project):
    said = project.of("""\
        from celery import shared_task
        work.apply_async((1,), countdown=3, link=x, exchange="e", stamped_headers=[], of_ours=1)
        work.apply_async(**options)
        self.task.apply_async(task_id=None, exchange=None)
        """)
    assert said == [
        "2 idle apply_async() exchange=",
        "2 rewrite apply_async() stamped_headers=",
        "2 rewrite apply_async() of_ours=",
    ]


def test_a_send_that_waits_for_the_commit(project):
    said = project.of("""\
        from functools import partial
        from django.db import transaction
        transaction.on_commit(lambda: work.delay(1))
        transaction.on_commit(work.delay)
        transaction.on_commit(partial(work.apply_async, (1,)))
        on_commit(lambda: work.delay(1), using="other")
        transaction.on_commit(lambda: cache.clear())
        transaction.on_commit(clear)
        """)
    assert said == [f"{line} idle on_commit()" for line in (3, 4, 5, 6)]


def test_in_a_task(project):
    said = project.of("""\
        from celery import shared_task
        @shared_task(bind=True)
        def work(self, other):
            self.request.id, self.request.origin, self.backend
            other.request.origin, other.backend
            def inner():
                self.get_logger()

        @shared_task
        def plain(self):
            self.backend

        def last():
            work.request.reply_to
        """)
    assert said == [
        "4 differs task.request.origin",
        "4 rewrite task.backend",
        "7 rewrite task.get_logger",
        "14 differs task.request.reply_to",
    ]


def test_in_a_class_of_tasks(project):
    project.write("base.py", "from celery import Task\nclass Base(Task):\n    abstract = True\n")
    said = project.of("""\
        from base import Base
        class Mine(Base):
            def on_failure(self, exc, task_id, args, kwargs, einfo):
                self.send_event("x")
                rate_limit = 1
            rate_limit = "1/m"
            queue = "mail"
        class Other:
            rate_limit = 1
            def run(self):
                self.send_event("x")
        """)
    assert said == ["4 rewrite task.send_event", "6 rewrite task class rate_limit"]


def test_results_as_far_as_they_can_be_seen(project):
    said = project.of("""\
        from celery import shared_task
        from celery.result import AsyncResult
        @shared_task
        def work(): pass

        def one():
            result = work.delay()
            result.get(timeout=3)
            AsyncResult("x").then(print)
            result = {}
            result.get("key")

        def two(result):
            result.get("key")
        """)
    assert said == ["8 differs result.get", "9 rewrite result.then"]


def test_the_app_and_its_control(project):
    said = project.of("""\
        from celery import Celery, current_app
        app = Celery()
        app.conf.update(result_expires=5, of_ours=1)
        app.conf.worker_concurrency = 3
        app.conf["broker_url"] = "x"
        current_app.control.pool_grow()
        app.control.inspect().active()
        app.send_task("x", exchange="e")
        """)
    assert said == [
        "3 rewrite app.conf.result_expires",
        "4 rewrite app.conf.worker_concurrency",
        "5 idle app.conf.broker_url",
        "6 rewrite app.control.pool_grow",
        "8 idle send_task() exchange=",
    ]


def test_settings(project):
    said = project.of("""\
        CELERY_BROKER_URL = "redis://"
        CELERY_RESULT_EXPIRES: int = 5
        BROKER_URL = CELERY_EMAIL_BACKEND = "x"
        CELERYD_CONCURRENCY = 3
        CELERY_ROUTES = {}
        CELERYBEAT_SCHEDULE = {}
        class Base:
            CELERY_RESULT_BACKEND = "redis://"
        def f():
            CELERY_BROKER_URL = ""
        """)
    assert said == [
        "1 idle CELERY_BROKER_URL",
        "2 rewrite CELERY_RESULT_EXPIRES",
        "3 idle BROKER_URL",
        "4 rewrite CELERYD_CONCURRENCY",
        "5 moves CELERY_ROUTES",
        "6 moves CELERYBEAT_SCHEDULE",
        "8 idle CELERY_RESULT_BACKEND",
    ]


def test_settings_in_force_that_stand_nowhere(project):
    project.write("settings.py", "CELERY_BROKER_URL = 'redis://'\n")
    found = project.check("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "DEBUG").findings
    assert [(each.path, each.about) for each in found] == [
        ("settings.py", "CELERY_BROKER_URL"),
        ("settings in force", "CELERY_RESULT_BACKEND"),
    ]


def test_texts_that_are_paths(project):
    said = project.of("""\
        mock.patch("celery.app.task.Task.retry")
        INSTALLED_APPS = ["django_celery_beat", "django_celery_results", "celeryman", "celery"]
        LOGGING = {"loggers": {"celery.task": {}, "celery": {}}}
        open("celery.log")
        mock.patch("celery.worker.Worker")
        """)
    assert said == [
        "1 differs 'celery.app.task.Task.retry'",
        "2 rewrite 'django_celery_beat'",
        "2 idle 'django_celery_results'",
        "2 rewrite 'celery'",
        "3 differs 'celery.task'",
        "5 rewrite 'celery.worker.Worker'",
    ]


def test_what_does_not_move_is_named_each(project):
    said = project.of("""\
        from celery import bootsteps, shared_task
        from celery.contrib.testing.worker import start_worker
        from kombu import Queue
        import celery
        import celery.events, os
        from celery import *
        celery.bootsteps.StartStopStep
        import gevent
        from sentry_sdk.integrations.celery import CeleryIntegration
        from sentry_sdk.integrations import django
        """)
    assert said == [
        "1 rewrite celery.bootsteps",
        "1 rewrite from celery",
        "2 rewrite celery.contrib.testing.worker.start_worker",
        "3 rewrite kombu.Queue",
        "5 rewrite import celery.events",
        "6 rewrite from celery import *",
        "7 rewrite celery.bootsteps",
        "8 differs import gevent",
        "9 rewrite sentry_sdk.integrations.celery.CeleryIntegration",
    ]


def test_what_to_know_of_names_that_move(project):
    project.write("a.py", "from celery.schedules import crontab, solar\n")
    project.write("b.py", "from celery.signals import task_received\n")
    project.write("c.py", "from django_celery_beat.models import IntervalSchedule\n")
    assert project.found() == [
        "1 rewrite celery.schedules.solar",
        "1 differs celery.signals.task_received",
        "1 differs django_celery_beat.models.IntervalSchedule",
    ]


def test_fixtures_of_celery(project):
    project.write("tests/test_a.py", "def test_it(celery_app, db): pass\n# celery\n")
    project.write("conftest.py", "def fixture(celery_worker): pass\n# celery\n")
    project.write("a.py", "def f(celery_app): pass\n")
    assert project.found() == ["1 rewrite celery_worker", "1 rewrite celery_app"]


def test_a_module_that_cannot_be_read_is_named(project):
    project.write("a.py", "import celery (\n")
    project.write("b.py", TASKS)
    found = project.check()
    assert [each.path for each in found.unreadable] == ["a.py"]
    assert [each.path for each in found.findings] == ["b.py"]


def test_environments_are_not_read(project):
    for path in ("env/x.py", "node_modules/x.py", "mine/lib/x.py", "app/x.py"):
        project.write(path, TASKS)
    project.write("mine/pyvenv.cfg", "")
    assert [each.path for each in project.check().findings] == ["app/x.py"]


@pytest.mark.parametrize(
    ("path", "line", "command"),
    [
        ("Procfile", "worker: celery -A proj worker -l info", "rewrite"),
        ("a.service", "ExecStart=/env/bin/celery --app=proj.celery worker", "rewrite"),
        ("compose.yaml", 'command: ["celery", "-A", "proj", "beat"]', "idle"),
        ("run", "exec celery -A proj flower", "rewrite"),
        ("start.sh", "celery -A proj multi start 3", "rewrite"),
        ("start.sh", "# celery -A proj worker", None),
        ("start.sh", "echo celery workers", None),
        ("readme.md", "celery -A proj worker", None),
    ],
)
def test_commands(project, path, line, command):
    project.write(path, f"x\n{line}\n").chmod(0o755)
    assert [said.split()[:2] for said in project.found()] == ([["2", command]] if command else [])
