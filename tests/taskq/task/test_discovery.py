"""Where tasks are looked for, and what becomes of a module that cannot be imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from django.core.management import call_command

from stress.rig.pools import wait_until
from taskq.models import State, Task
from tests.project.lab import tasks

JOBS = """
from taskq.celery import shared_task
from tests.project.lab.tasks import run

@shared_task
def greet(key):
    with run(key):
        pass
"""

BROKEN = {
    "ImportError": ("from os import no_such_thing", "ImportError: cannot import name"),
    "SyntaxError": ("def greet(:", "SyntaxError: invalid syntax"),
    "TypeError": (
        "from taskq.celery import shared_task\n\n@shared_task(atomic=True)\nasync def f(): ...",
        "TypeError: atomic is True, but corner.tasks.f is async",
    ),
    "RuntimeError": ("x = 1\nraise RuntimeError('two\\nlines \\x1b[31m')", r"RuntimeError: two\n"),
}


@pytest.fixture
def project(tmp_path, environment):
    """That of the tests with one more app, "corner", and a URLconf of its own."""
    (tmp_path / "corner").mkdir()
    (tmp_path / "corner/__init__.py").touch()
    (tmp_path / "corner/urls.py").write_text("urlpatterns = []\n")
    (tmp_path / "corner_settings.py").write_text(
        "from tests.project.settings import *\n"
        "INSTALLED_APPS = [*INSTALLED_APPS, 'corner']\n"
        "ROOT_URLCONF = 'corner.urls'\n"
    )
    environment["DJANGO_SETTINGS_MODULE"] = "corner_settings"
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.getcwd()])
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return tmp_path


def manage(environment, *words):
    return subprocess.run(
        [sys.executable, "-m", "tests.project.manage", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.mark.sqlite  # to run it on one is enough
@pytest.mark.parametrize("how", BROKEN)
def test_a_module_that_cannot_be_imported_is_one_error_of_the_checks(project, environment, how):
    code, error = BROKEN[how]
    (project / "corner/tasks.py").write_text(code)
    done = manage(environment, "check")
    assert done.returncode == 1
    (line,) = re.findall(r"\(taskq\.E\d+\) (.*)", done.stderr)
    assert line.startswith(f"corner.tasks cannot be imported: {error}")
    last = 3 if how == "TypeError" else code.count("\n") + 1  # that is the decorator's
    assert f"corner/tasks.py, line {last})" in line
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.sqlite  # to run it on one is enough
@pytest.mark.parametrize("words", [["migrate"], ["shell", "-c", "print('fine')"]])
def test_it_stops_neither_migrate_nor_a_shell(project, environment, words):
    (project / "corner/tasks.py").write_text(BROKEN["ImportError"][0])
    done = manage(environment, *words)
    assert done.returncode == 0, done.stderr
    assert "corner.tasks cannot be imported: ImportError" in done.stderr


@pytest.mark.sqlite  # to run it on one is enough
def test_it_does_not_stop_the_web_server(project, environment):
    (project / "corner/tasks.py").write_text(BROKEN["ImportError"][0])
    log = project / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.project.manage",
                "runserver",
                "--noreload",
                "127.0.0.1:0",
            ],
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: "development server at" in log.read_text(), what="it starts")
        assert "taskq.E010" in log.read_text()
    finally:
        server.kill()
        server.wait()


@pytest.mark.sqlite  # to run it on one is enough
@pytest.mark.parametrize("more", [[], ["--skip-checks"]])
def test_no_pool_starts_without_its_tasks(project, environment, more):
    (project / "corner/tasks.py").write_text(BROKEN["SyntaxError"][0])
    done = manage(environment, "taskq_pool", "-c", "1", *more)
    assert done.returncode == 1
    assert "corner.tasks cannot be imported: SyntaxError: invalid syntax" in done.stderr
    assert "Traceback" not in done.stderr
    assert "taskq pool" not in done.stderr  # it has not begun


@pytest.mark.sqlite  # to run it on one is enough
def test_modules_of_imports_are_known_to_who_sends_and_to_pools(
    project, environment, start_pool, runs
):
    (project / "corner/jobs.py").write_text(JOBS)
    environment["TASKQ_IMPORTS"] = '["corner.jobs"]'
    assert "no issues" in manage(environment, "check").stdout
    assert "corner.jobs.greet" in manage(environment, "taskq_run", "--list").stdout
    assert manage(environment, "taskq_run", "corner.jobs.greet", "a").returncode == 0
    pool = start_pool("-c", 1, **environment)
    wait_until(lambda: runs("end", "a"))
    pool.wait_for_log("corner.jobs.greet")


@pytest.mark.sqlite  # to run it on one is enough
def test_a_module_of_imports_that_is_not_there_is_an_error_of_the_checks(project, environment):
    environment["TASKQ_IMPORTS"] = '["corner.nowhere"]'
    done = manage(environment, "check")
    assert done.returncode == 1
    said = (
        "corner.nowhere cannot be imported: ModuleNotFoundError: No module named 'corner.nowhere'"
    )
    assert f"(taskq.E010) {said}." in done.stderr


@pytest.mark.sqlite  # to run it on one is enough
def test_an_app_that_is_not_installed_is_named_at_the_call(project, environment):
    settings = project / "corner_settings.py"
    without = "INSTALLED_APPS = [app for app in INSTALLED_APPS if 'taskq' not in app]\n"
    settings.write_text(settings.read_text() + without)
    (project / "corner/tasks.py").write_text(JOBS)
    done = manage(environment, "shell", "-c", "from corner.tasks import greet; greet.delay('a')")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.endswith("taskq is not installed: add 'taskq' to INSTALLED_APPS")


@pytest.mark.sqlite  # to run it on one is enough
@pytest.mark.parametrize("command", ["taskq_pool", "taskq", "taskq_prune", "taskq_status"])
def test_a_wrong_setting_is_an_error_without_a_traceback(project, environment, command):
    with (project / "corner_settings.py").open("a") as settings:
        settings.write("TASKQ = {'CONCURENCY': 4}\n")
    done = manage(environment, command)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "(taskq.E001) TASKQ['CONCURENCY'] is 4: no such key; did you mean CONC" in done.stderr
    assert "--database" in manage(environment, command, "--help").stdout


@pytest.mark.sqlite  # to run it on one is enough
def test_a_task_of_a_view_is_warned_of_by_the_checks(project, environment):
    (project / "corner/views.py").write_text(JOBS)
    (project / "corner/urls.py").write_text("from corner import views\nurlpatterns = []\n")
    done = manage(environment, "check")
    assert done.returncode == 0
    assert "corner.views defines corner.views.greet, and a pool need not import it" in done.stderr
    assert "TASKQ['IMPORTS'] = ['corner.views']" in done.stderr
    environment["TASKQ_IMPORTS"] = '["corner.views"]'
    assert "no issues" in manage(environment, "check").stdout


def test_the_log_line_of_an_unknown_task_says_where_tasks_are_looked_for(start_pool):
    Task.objects.create(name="corner.jobs.greet", payload='[["a"],{}]')
    pool = start_pool("-c", 1)
    pool.wait_for_log("corner.jobs.greet #")
    pool.wait_for_log("restart pools that are older than the task, or move it to the tasks.py of")


def test_a_burst_that_leaves_what_nobody_knows_does_not_end_with_0(start_pool, runs):
    Task.objects.create(name="corner.jobs.greet", payload='[["a"],{}]')
    tasks.quick.delay("known")
    for _ in range(2):  # it is not due when the second comes
        pool = start_pool("-c", 1, "--burst", ready=False)
        assert pool.wait_exit() == 1
        pool.wait_for_log("1 tasks are left whose names are not known here: corner.jobs.greet")
    assert runs("end", "known")
    assert Task.objects.get().state == State.READY


def test_a_burst_of_other_queues_is_not_concerned(start_pool):
    Task.objects.create(name="corner.jobs.greet", payload='[["a"],{}]')
    start_pool("-c", 1, "--burst", ready=False).wait_exit()
    assert start_pool("-c", 1, "-Q", "mail", "--burst", ready=False).wait_exit() == 0


def test_status_ends_with_3_while_a_task_waits_that_nobody_knows(start_pool, capsys):
    Task.objects.create(name="corner.jobs.greet", payload='[["a"],{}]')
    start_pool("-c", 1)
    wait_until(lambda: Task.objects.filter(unknown_since__isnull=False, state=State.READY))
    with pytest.raises(SystemExit) as leaving:
        call_command("taskq_status")
    assert leaving.value.code == 3
    assert "1 tasks wait for a worker that knows their names: corner.jobs.greet (1)" in (
        capsys.readouterr().out
    )
