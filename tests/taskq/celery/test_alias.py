"""``TASKQ["CELERY_ALIAS"]``: ``import celery`` finds ``taskq.celery``. Each site is a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskq import __file__ as taskq_file

ROOT = Path(taskq_file).resolve().parents[1]
SETTINGS = """
SECRET_KEY = "x"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3",
    "OPTIONS": {{"transaction_mode": "IMMEDIATE"}}}}}}
INSTALLED_APPS = {apps!r}
TASKQ = {taskq!r}
"""
ALIAS = {"CELERY_ALIAS": True}


class Site:
    """A site in a directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def app(self, name: str, **files: str) -> None:
        """An app with these modules."""
        (self.home / name).mkdir()
        for module, text in {"__init__": "", **files}.items():
            (self.home / name / f"{module}.py").write_text(text)

    def run(
        self,
        *words: str,
        apps: list[str],
        taskq: dict[str, object],
        settings: str = "site_settings",
        code: int = 0,
    ) -> str:
        """Run ``python WORDS…`` there; what it printed, errors too."""
        (self.home / "site_settings.py").write_text(SETTINGS.format(apps=apps, taskq=taskq))
        answer = subprocess.run(
            [sys.executable, *words],
            cwd=self.home,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": settings,
                "PYTHONPATH": os.pathsep.join([str(self.home), str(ROOT)]),
                # The settings are written anew within a second, and perhaps as long as before.
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert answer.returncode == code, answer.stdout
        return answer.stdout

    def script(
        self, text: str, *, apps: tuple[str, ...] = ("taskq",), taskq: object = None, code: int = 0
    ) -> str:
        """Run these lines after Django's setup."""
        lines = f"import django; django.setup()\n{text}"
        given = ALIAS if taskq is None else taskq
        assert isinstance(given, dict)
        return self.run("-c", lines, apps=[*apps], taskq=given, code=code)

    def check(self, *apps: str, code: int = 0) -> str:
        return self.run("-m", "django", "check", apps=[*apps], taskq=ALIAS, code=code)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_each_module_is_one_object_for_both_names(site):
    site.script("""
import importlib, sys
import celery.result, celery.states
from celery import shared_task
import taskq.celery
assert celery is taskq.celery
assert shared_task is taskq.celery.shared_task
for name in [each for each in sys.modules if each.startswith("taskq.celery.")]:
    theirs = importlib.import_module(name.removeprefix("taskq."))
    assert theirs is sys.modules[name], name
    assert theirs.__spec__.name == theirs.__name__ == name
assert importlib.util.find_spec("celery.result").name == "taskq.celery.result"
""")


def test_the_other_name_may_come_first(site):
    site.script("""
import celery.result
import taskq.celery.result
assert celery.result is taskq.celery.result
""")


def test_the_tasks_of_an_app_are_ours(site):
    site.app("other", tasks="from celery import shared_task\n\n@shared_task\ndef work(): pass\n")
    said = site.script(
        "from taskq.task import registry; print(registry.names())", apps=("taskq", "other")
    )
    assert "other.tasks.work" in said


def test_a_module_that_is_not_there_is_named(site):
    said = site.script("import celery.bootsteps", code=1)
    assert "ModuleNotFoundError: No module named 'celery.bootsteps'" in said


def test_off_is_the_default(site):
    said = site.script("import celery", taskq={}, code=1)
    assert "ModuleNotFoundError: No module named 'celery'" in said


def test_an_app_may_import_it_before_there_are_models(site):
    site.app(
        "other",
        apps="""
from celery import shared_task
from celery.result import AsyncResult
from django.apps import AppConfig

@shared_task
def early(): pass

class OtherConfig(AppConfig):
    name = "other"
""",
    )
    assert "no issues" in site.check("taskq", "other")


def test_an_app_that_comes_too_early_is_named(site):
    site.app("other", apps="try:\n    import celery\nexcept ImportError:\n    celery = None\n")
    said = site.check("other", "taskq", code=1)
    assert f"(taskq.E014) {site.home / 'other' / 'apps.py'} imports celery" in said
    assert "HINT: Put 'taskq' before that app" in said
    assert "no issues" in site.check("taskq", "other")


def test_an_app_that_imports_it_later_may_stand_anywhere(site):
    site.app("other", models="import celery\n", celery="from .models import celery\n")
    assert "no issues" in site.check("other", "taskq")


def test_it_is_refused_where_celery_is_installed(site):
    site.app("celery")
    path = site.home / "celery" / "__init__.py"
    said = site.check("taskq", code=1)
    assert f"(taskq.E013) TASKQ['CELERY_ALIAS'] is True, but Celery is installed: {path}" in said
    assert "Uninstall celery" in said
    assert "Traceback" not in said
    assert "ImproperlyConfigured: TASKQ['CELERY_ALIAS'] is True" in site.script("", code=1)


def test_a_directory_of_that_name_is_not_celery(site):
    (site.home / "celery").mkdir()
    assert "no issues" in site.check("taskq")


def test_a_project_may_import_it_in_its_own_package(site):
    """As Celery's first steps say. ``proj/__init__.py`` is imported with the settings, when there
    are neither settings nor models."""
    site.app("proj", jobs="from taskq.celery import shared_task\n@shared_task\ndef work(): pass\n")
    (site.home / "proj" / "__init__.py").write_text("from .jobs import work\n")
    schedule = "from taskq.celery.schedules import crontab\nfrom site_settings import *\n"
    (site.home / "proj" / "settings.py").write_text(schedule)
    said = site.run(
        "-c",
        "import django; django.setup(); import proj; print(proj.work.name)",
        apps=["taskq"],
        taskq={},
        settings="proj.settings",
    )
    assert said == "proj.jobs.work\n"
