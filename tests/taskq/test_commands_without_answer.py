"""The commands where the database has no answer: one sentence, and an exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest
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


def run(environment, command, *words):
    return subprocess.run(
        [sys.executable, "-m", "tests.project.manage", command.split()[0], *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def unmigrated(environment, tmp_path):
    """The environment with a database without tables."""
    if connection.vendor == "sqlite":
        yield {**environment, "DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3"}
        return
    old = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {old}_empty")
    yield {**environment, "DATABASE_URL": environment["DATABASE_URL"].replace(old, f"{old}_empty")}
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {old}_empty WITH (FORCE)")


@pytest.fixture
def away(environment, tmp_path):
    """The environment with a database that is not there."""
    gone = f"sqlite:///{tmp_path}/no/such/folder/db"
    if connection.vendor == "postgresql":
        gone = "postgresql://nobody@127.0.0.1:1/none"
    return {**environment, "DATABASE_URL": gone}


@pytest.mark.parametrize("command", COMMANDS)
def test_before_migrate_a_command_says_what_to_do(unmigrated, command):
    done = run(unmigrated, command, *COMMANDS[command])
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "database 'default' lacks tables or columns of taskq: run manage.py migrate" in line
    assert done.stdout == ""


@pytest.mark.postgresql
def test_a_database_that_lets_nobody_in_is_said_so(environment):
    old = connection.settings_dict["NAME"]
    url = environment["DATABASE_URL"].replace(old, "nowhere")
    done = run({**environment, "DATABASE_URL": url}, "taskq_status")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "CommandError: cannot connect to database 'default': "
        'FATAL:  database "nowhere" does not exist: check DATABASES'
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_is_away_is_said_in_a_sentence(away, command):
    done = run(away, command, *COMMANDS[command])
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "database 'default' does not answer: " in line
