"""A project as ``startproject`` makes it, three lines of settings, Django's own decorator: its
worker is killed in the middle of a task, and the result says so and is there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import django
import pytest
from django.db import connection

from stress.rig.pools import GENEROUS, wait_until

ROOT = Path(__file__).resolve().parents[3]

if django.VERSION >= (6, 0):
    FRAMEWORK, APPS = "django.tasks", ["taskq", "shop"]
else:
    FRAMEWORK, APPS = "django_tasks", ["django_tasks", "taskq", "shop"]
    pytest.importorskip(FRAMEWORK, reason="the backport is not installed")

TASKS = f"""
import os, time
from pathlib import Path
from {FRAMEWORK} import task

@task(takes_context=True)
def bake(context, cake):
    Path(cake).write_text(str(os.getpid()))
    if context.attempt == 1:
        time.sleep(60)
    return {{"baked": context.attempt}}
"""

#: Sends the task, and follows its result to the end.
SENDER = """
import json, sys, time
from shop.tasks import bake

result = bake.enqueue({cake!r})
print(result.status, flush=True)
until = time.monotonic() + 300
while not result.is_finished and time.monotonic() < until:
    time.sleep(0.05)
    result.refresh()
print(json.dumps({{
    "status": result.status,
    "attempts": result.attempts,
    "value": result.return_value,
    "errors": [error.exception_class_path for error in result.errors],
    "workers": len(set(result.worker_ids)),
}}))
"""


class Project:
    def __init__(self, directory: Path, database: str) -> None:
        self.directory = directory
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)
        self._run("-m", "django", "startproject", "mysite", ".")
        self._run("manage.py", "startapp", "shop")
        with (directory / "mysite/settings.py").open("a") as settings:
            print(f"INSTALLED_APPS += {APPS!r}", file=settings)
            print("TASKS = {'default': {'BACKEND': 'taskq.backend.TaskqBackend'}}", file=settings)
            print(database, file=settings)
        (directory / "shop/tasks.py").write_text(TASKS)
        assert "no issues" in self._run("manage.py", "check")
        self._run("manage.py", "migrate", "--verbosity", "0")

    def start(self, *words: str, log: str) -> subprocess.Popen[bytes]:
        with (self.directory / log).open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "manage.py", *words],
                cwd=self.directory,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, log: str) -> str:
        file = self.directory / log
        return file.read_text() if file.exists() else ""

    def _run(self, *words: str) -> str:
        answer = subprocess.run(
            [sys.executable, *words],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, f"{words}\n{answer.stdout}{answer.stderr}"
        return answer.stdout + answer.stderr


@pytest.fixture
def database(transactional_db):
    """The line of settings that says where the project keeps its data: in a database of its own."""
    if connection.vendor == "sqlite":
        yield "DATABASES['default']['OPTIONS'] = {'transaction_mode': 'IMMEDIATE'}"
        return
    name = f"stock_{uuid.uuid4().hex[:8]}"
    keys = ("ENGINE", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    settings = {key: connection.settings_dict[key] for key in keys}
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield f"DATABASES['default'] = { {**settings, 'NAME': name}!r}"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def project(database, tmp_path):
    directory = tmp_path / "stock"
    directory.mkdir()
    return Project(directory, database)


def test_a_killed_workers_task_is_successful_on_attempt_two(project, tmp_path):
    cake = tmp_path / "cake"
    started = []
    try:
        pool = project.start("taskq_pool", "-c", "1", log="pool.log")
        started.append(pool)
        script = textwrap.dedent(SENDER).format(cake=str(cake))
        sender = project.start("shell", "-c", script, log="sender.log")
        started.append(sender)

        # Django starts twice, both at once.
        baked = wait_until(lambda: cake.exists() and cake.read_text(), what="the task runs")
        worker = int(baked)
        assert worker not in (pool.pid, sender.pid)
        os.kill(worker, signal.SIGKILL)

        sender.wait(300)
        *said, last = project.log("sender.log").splitlines()
        assert "READY" in said
        assert json.loads(last) == {
            "status": "SUCCESSFUL",
            "attempts": 2,
            "value": {"baked": 2},
            "errors": ["taskq.exceptions.WorkerLost"],
            "workers": 2,
        }
        pool.terminate()
        assert pool.wait(GENEROUS) == 0
    finally:
        print(f"--- {project.log('pool.log')}\n{project.log('sender.log')}")
        for each in started:
            if each.poll() is None:
                os.killpg(each.pid, signal.SIGKILL)
                each.wait()
