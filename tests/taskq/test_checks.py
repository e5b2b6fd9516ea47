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
from django.db import connection

from taskq import checks

ROOT = Path(__file__).resolve().parents[2]


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
        ({"LEAS": 30}, "TASKQ['LEAS'] is 30: no such key; known are LEASE, HEARTBEAT"),
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


# The package that has a common name


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A directory that is found first, before our packages."""
    monkeypatch.delitem(sys.modules, "pool", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_our_own_package_is_fine(project):
    assert checks.check_pool_not_shadowed(None) == []


@pytest.mark.parametrize("file", ["pool.py", "pool/__init__.py"])
def test_module_of_the_project_that_hides_ours_is_an_error_that_names_its_path(project, file):
    path = project / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise RuntimeError('imported')")
    (error,) = checks.check_pool_not_shadowed(None)
    assert (error.id, error.level) == ("taskq.E005", django_checks.ERROR)
    assert str(path) in error.msg
    assert str(ROOT / "pool" / "__init__.py") in error.msg
    assert error.hint == "Rename that module: taskq_pool cannot start while it is found first."


def test_directory_without_python_hides_nothing(project):
    (project / "pool").mkdir()
    assert checks.check_pool_not_shadowed(None) == []


def test_missing_package_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (error,) = checks.check_pool_not_shadowed(None)
    assert error.id == "taskq.E005"
    assert "None" not in error.msg


def test_project_that_hides_our_package_is_told_so_by_manage_py_check(tmp_path):
    (tmp_path / "pool.py").touch()
    (tmp_path / "site_settings.py").write_text(
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['taskq']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3'}}\n"
    )
    answer = subprocess.run(
        [sys.executable, "-m", "django", "check", "--settings=site_settings"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    assert "(taskq.E005)" in answer.stderr
    assert str(tmp_path / "pool.py") in answer.stderr
