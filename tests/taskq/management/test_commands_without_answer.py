"""The commands where the database has no answer: one sentence, and an exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.management import execute_from_command_line
from django.db import connection

COMMANDS = {
    "taskq_status": [],
    "taskq_status --json": ["--json"],
    "taskq_top": ["--once"],
    "taskq_retry": ["--failed"],
    "taskq_cancel": ["1"],
    "taskq_prune": [],
    "taskq_pause": [],
    "taskq_resume": ["mail"],
    "taskq_run": ["tests.project.lab.tasks.quick", "a"],
}


@pytest.fixture
def manage(capsys, settings):
    """Call a command as manage.py does: its exit code, what it wrote, and what to stderr."""
    settings.SILENCED_SYSTEM_CHECKS = ["taskq.W010"]  # of the tasks that test modules define

    def call(command, *words):
        with pytest.raises(SystemExit) as leaving:
            execute_from_command_line(["manage.py", command.split()[0], *words])
        return leaving.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def elsewhere(transactional_db):
    """Have the connection lead to another database."""
    before = dict(connection.settings_dict)

    def lead(**settings):
        connection.close()
        connection.settings_dict.update(settings)

    yield lead
    lead(**before)


@pytest.fixture
def unmigrated(elsewhere, tmp_path):
    """A database without tables."""
    if connection.vendor == "sqlite":
        elsewhere(NAME=str(tmp_path / "empty.sqlite3"))
        yield
        return
    old = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {old}_empty")
    elsewhere(NAME=f"{old}_empty")
    yield
    elsewhere(NAME=old)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {old}_empty WITH (FORCE)")


@pytest.fixture
def away(elsewhere, tmp_path):
    """A database that is not there."""
    if connection.vendor == "postgresql":
        elsewhere(HOST="127.0.0.1", PORT=1)
    else:
        elsewhere(NAME=str(tmp_path / "no/such/folder/db"))


@pytest.mark.parametrize("command", COMMANDS)
def test_before_migrate_a_command_says_what_to_do(unmigrated, manage, command):
    code, out, err = manage(command, *COMMANDS[command])
    assert code == 1
    (line,) = err.strip().splitlines()
    assert "database 'default' lacks tables or columns of taskq: run manage.py migrate" in line
    assert out == ""


@pytest.mark.postgresql
def test_a_database_that_lets_nobody_in_is_said_so(environment):
    """In a process of its own, as a user calls it."""
    old = connection.settings_dict["NAME"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.project.manage", "taskq_status"],
        env={**environment, "DATABASE_URL": environment["DATABASE_URL"].replace(old, "nowhere")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "CommandError: cannot connect to database 'default': "
        'FATAL:  database "nowhere" does not exist: check DATABASES'
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_is_away_is_said_in_a_sentence(away, manage, command):
    code, _, err = manage(command, *COMMANDS[command])
    assert code == 1
    (line,) = err.strip().splitlines()
    assert "database 'default' does not answer: " in line
