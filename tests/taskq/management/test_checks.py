"""System checks: what is wrong is said before anything runs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core import checks as django_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from taskq import checks, own_packages

ROOT = Path(__file__).resolve().parents[3]


def ids(messages):
    return [message.id for message in messages]


def test_project_of_the_tests_is_sound():
    found = django_checks.run_checks()
    assert [each for each in found if each.id != "taskq.W010"] == []  # of tasks in the tests


@pytest.mark.parametrize(
    ("setting", "id"),
    [({"TASKQ": {"LEASE": -1}}, "taskq.E001"), ({"USE_TZ": False}, "taskq.E004")],
)
def test_checks_are_registered(settings, setting, id):
    for name, value in setting.items():
        setattr(settings, name, value)
    assert id in ids(django_checks.run_checks())


# The settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"LEAZE": 30}, "TASKQ['LEAZE'] is 30: no such key; did you mean LEASE? known are LEASE, "),
        ({"POLL": -1}, "TASKQ['POLL'] is -1: give a positive number of seconds"),
        (
            {"HEARTBEAT": 15},
            "TASKQ['HEARTBEAT'] is 15: the heartbeat (15 s) must be at most a third of the lease "
            "(30 s), so that one lost renewal ends no lease; lower HEARTBEAT to 10 or raise LEASE "
            "to 45",
        ),
        ([], "TASKQ is []: give a dict of settings"),
        (None, "TASKQ is None: give a dict of settings"),
    ],
)
def test_wrong_setting_is_an_error(settings, given, message):
    settings.TASKQ = given
    (error,) = checks.check_settings(None)
    assert (error.id, error.level) == ("taskq.E001", django_checks.ERROR)
    assert error.msg.startswith(message)


def test_each_wrong_key_is_an_error_of_its_own(settings):
    settings.TASKQ = {"LEASE": 0, "POLL": 0, "SPEED": 11}
    assert ids(checks.check_settings(None)) == ["taskq.E001"] * 3


def test_missing_setting_is_fine(settings):
    del settings.TASKQ
    assert checks.check_settings(None) == []


@pytest.mark.parametrize("alias", ["direct", ""])
def test_listen_must_name_a_database(settings, alias):
    settings.TASKQ = {"LISTEN": alias}
    (error,) = checks.check_settings(None)
    assert error.id == "taskq.E002"
    assert error.msg == f"TASKQ['LISTEN'] is {alias!r}: no such database."
    assert error.hint == "Name one of default, or use True or False."


@pytest.mark.parametrize("listen", [True, False, "default"])
def test_listen_is_fine(settings, listen):
    settings.TASKQ = {"LISTEN": listen}
    assert checks.check_settings(None) == []


# The database


@pytest.fixture
def database(monkeypatch):
    """Let the checks see a database of this vendor."""

    def use(vendor, **options):
        fake = SimpleNamespace(vendor=vendor, settings_dict={"OPTIONS": options})
        monkeypatch.setattr(checks, "connections", {"default": fake})

    return use


def test_a_database_that_commits_nothing_by_itself_is_an_error(monkeypatch):
    """An atomic task would seem to be done, and its row would stay as of one that runs."""
    monkeypatch.setitem(connection.settings_dict, "AUTOCOMMIT", False)
    (error,) = [each for each in django_checks.run_checks() if each.id == "taskq.E015"]
    assert error.level == django_checks.ERROR
    assert "DATABASES['default']['AUTOCOMMIT'] is False" in error.msg
    assert "transaction.atomic()" in error.hint


@pytest.mark.parametrize("vendor", ["mysql", "oracle", "microsoft", "unknown"])
def test_unsupported_database_is_an_error(database, vendor):
    database(vendor)
    (error,) = checks.check_database(None)
    assert (error.id, error.level) == ("taskq.E003", django_checks.ERROR)
    assert error.msg == f"DATABASES['default'] is {vendor}, which taskq does not support."
    assert "PostgreSQL" in error.hint
    assert "router" in error.hint


@pytest.mark.parametrize("vendor", ["postgresql", "sqlite"])
def test_supported_database_is_fine(database, vendor):
    database(vendor)
    assert checks.check_database(None) == []


class ToQueue:
    def db_for_write(self, model, **hints):
        return "queue"


def test_database_is_where_the_router_sends_the_tasks(settings, monkeypatch):
    settings.DATABASE_ROUTERS = [ToQueue()]
    fakes = {"default": SimpleNamespace(vendor="sqlite"), "queue": SimpleNamespace(vendor="mysql")}
    monkeypatch.setattr(checks, "connections", fakes)
    (error,) = checks.check_database(None)
    assert error.msg.startswith("DATABASES['queue'] is mysql")


@pytest.mark.parametrize("mode", [None, "DEFERRED"])
def test_deferred_transactions_of_sqlite_are_a_warning(database, mode):
    database("sqlite", **({"transaction_mode": mode} if mode else {}))
    (warning,) = checks.check_sqlite_transactions(None)
    assert (warning.id, warning.level) == ("taskq.W001", django_checks.WARNING)
    assert "DATABASES['default'] uses SQLite's deferred transactions" in warning.msg
    assert "DATABASES['default']['OPTIONS'] = {'transaction_mode': 'IMMEDIATE'}" in warning.hint


@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_other_transactions_of_sqlite_are_fine(database, mode):
    database("sqlite", transaction_mode=mode)
    assert checks.check_sqlite_transactions(None) == []


def test_transactions_of_postgresql_are_fine(database):
    database("postgresql")
    assert checks.check_sqlite_transactions(None) == []


def test_checks_ask_no_database():
    """They run before migrations, and where there is no database yet."""
    connection.close()
    django_checks.run_checks()
    assert connection.connection is None


# Time zones


def test_naive_times_are_an_error(settings):
    settings.USE_TZ = False
    (error,) = checks.check_time_zone_support(None)
    assert (error.id, error.level) == ("taskq.E004", django_checks.ERROR)
    assert "USE_TZ = True" in error.hint


# Our packages have common names


@pytest.fixture
def project(tmp_path):
    """A site whose models and views send tasks."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "tasks.py").write_text(
        "from taskq.celery import shared_task\n\n@shared_task\ndef greet(): pass\n"
    )
    (shop / "models.py").write_text("from shop.tasks import greet\n")
    (tmp_path / "site_settings.py").write_text(
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['shop', 'taskq']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3',\n"
        "    'OPTIONS': {'transaction_mode': 'IMMEDIATE'}}}\n"
    )
    return tmp_path


def python(project, *words):
    return subprocess.run(
        [sys.executable, *words],
        env={
            **os.environ,
            "PYTHONPATH": f"{project}{os.pathsep}{ROOT}",
            "DJANGO_SETTINGS_MODULE": "site_settings",
        },
        cwd=project,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("file", ["pool.py", "pool/__init__.py"])
@pytest.mark.parametrize("command", ["check", "taskq_pool", "taskq_status"])
def test_command_of_a_site_with_a_module_pool_ends_with_one_sentence(project, file, command):
    module = project / file
    module.parent.mkdir(exist_ok=True)
    module.touch()
    answer = python(project, "-m", "django", command)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        f"?: (taskq.E005) The module 'pool' at {module} hides the package 'pool' that taskq runs "
        f"on ({ROOT / 'pool/__init__.py'}).\n"
        "\tHINT: Rename that module: nothing of taskq works while it is found first.\n"
    )


def test_program_of_a_site_with_a_module_pool_fails_with_that_sentence(project):
    (project / "pool.py").touch()
    answer = python(project, "-c", "import django; django.setup()")
    assert answer.stderr.splitlines()[-1] == (
        "django.core.exceptions.ImproperlyConfigured: The module 'pool' at "
        f"{project / 'pool.py'} hides the package 'pool' that taskq runs on "
        f"({ROOT / 'pool/__init__.py'}). Rename that module: nothing of taskq works while it is "
        "found first."
    )


def test_module_stress_is_a_warning_and_the_site_works(project):
    (project / "stress.py").touch()
    answer = python(project, "-m", "django", "check")
    assert answer.returncode == 0
    assert f"(taskq.W011) The module 'stress' at {project / 'stress.py'} hides" in answer.stderr


@pytest.mark.parametrize("name", ["pool", "stress"])
def test_directory_without_python_hides_nothing(project, name):
    (project / name).mkdir()
    answer = python(project, "-m", "django", "check")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_missing_package_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"'pool' cannot be found.* install taskq-pool"):
        own_packages.demand_pool()
