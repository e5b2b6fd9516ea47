"""The check as its user sees it: ``manage.py taskq_celery_check``, and without a site."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from tests.conftest import __file__ as conftest
from tests.taskq.celery_check.reading import TASKS, Project

REFUSED = f"{TASKS}\n@shared_task(rate_limit='1/m')\ndef work(): pass\n"


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def run(capsys, *options):
    """The exit code and what was printed."""
    try:
        call_command("taskq_celery_check", *map(str, options))
        code = 0
    except SystemExit as leaving:
        code = leaving.code
    return code, capsys.readouterr().out


def test_the_report_is_by_file_and_line_with_a_summary(project, capsys):
    project.write("shop/tasks.py", REFUSED)
    code, said = run(capsys, project.home)
    assert code == 1
    assert said == (
        "shop/tasks.py\n"
        "     1  moves    from celery: from taskq.celery import shared_task\n"
        "     3  rewrite  @task rate_limit=: there is none: give the task a queue that only one "
        "small pool serves\n"
        "\n"
        "1 files of Python were read, and define 1 tasks of Celery.\n"
        "     1  moves    move with their import: --fix changes it\n"
        "     1  rewrite  must be written in another way\n"
        'No INSTALLED_APPS has "taskq": add it, and run manage.py migrate.\n'
    )


def test_the_app_may_be_there_already(project, capsys):
    project.write("shop/tasks.py", TASKS)
    project.write("settings.py", "INSTALLED_APPS = ['taskq']\n")
    assert "INSTALLED_APPS" not in run(capsys, project.home)[1]


def test_what_moves_ends_with_0(project, capsys):
    project.write("shop/tasks.py", TASKS)
    assert run(capsys, project.home)[0] == 0


def test_a_project_without_celery(project, capsys):
    project.write("shop/tasks.py", "import os\n")
    code, said = run(capsys, project.home)
    assert code == 0
    assert said.endswith("Nothing of Celery was found.\n")


def test_a_difference_changes_nothing(project, capsys):
    path = project.write("shop/tasks.py", REFUSED)
    code, said = run(capsys, project.home, "--diff")
    assert code == 1
    assert said.startswith("--- a/shop/tasks.py\n+++ b/shop/tasks.py\n")
    assert said.count("\n+from taskq.celery import shared_task\n") == 1
    assert path.read_text() == REFUSED


def test_fix_changes_the_imports(project, capsys):
    path = project.write("shop/tasks.py", REFUSED)
    code, said = run(capsys, project.home, "--fix")
    assert code == 1
    assert said.endswith("1 imports were changed in 1 files.\n")
    assert path.read_text() == REFUSED.replace("from celery", "from taskq.celery")


def test_one_file_may_be_given(project, capsys):
    path = project.write("shop/tasks.py", TASKS)
    project.write("shop/other.py", REFUSED)
    code, said = run(capsys, path, "--fix")
    assert code == 0
    assert said.startswith("tasks.py\n")
    assert path.read_text().startswith("from taskq.celery")


def test_a_path_that_is_not_there():
    with pytest.raises(CommandError, match="'/none' does not exist: give a directory or a file"):
        call_command("taskq_celery_check", "/none")


def test_settings_in_force_are_looked_at(project, capsys, settings):
    settings.CELERY_RESULT_EXPIRES = 5
    code, said = run(capsys, project.home)
    assert code == 1
    assert "settings in force\n     0  rewrite  CELERY_RESULT_EXPIRES: " in said


@pytest.mark.parametrize(("source", "code"), [(TASKS, 0), (REFUSED, 1), (None, 1)])
def test_it_needs_no_site_and_no_django(project, source, code):
    if source is not None:
        project.write("shop/tasks.py", source)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DJANGO")}
    environment["PYTHONPATH"] = os.path.dirname(os.path.dirname(conftest))
    where = project.home if source is not None else project.home / "none"
    lines = (
        "import runpy, sys\n"
        f"sys.argv = ['x', {str(where)!r}]\n"
        "try: runpy.run_module('taskq.celery_check', run_name='__main__')\n"
        "finally: assert not any(name.startswith('django') for name in sys.modules)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", lines], env=environment, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == code, answer.stderr
    said = answer.stdout + answer.stderr
    assert ("shop/tasks.py" if source is not None else "does not exist") in said
