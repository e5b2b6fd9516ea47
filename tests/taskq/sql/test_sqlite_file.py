"""The file of an SQLite database is removed, or replaced by another, while a pool has it open."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stress.rig.pools import wait_until

pytestmark = pytest.mark.sqlite


@pytest.fixture
def database(tmp_path):
    return tmp_path / "db.sqlite3"


@pytest.fixture
def url(database):
    return f"sqlite:///{database}"


@pytest.fixture
def manage(url, history_file):
    def run(*command):
        environment = {**os.environ, "DATABASE_URL": url, "TASKQ_HISTORY": str(history_file)}
        whole = [sys.executable, "-m", "tests.project.manage", *command]
        subprocess.run(whole, env=environment, check=True)

    return run


def test_a_pool_goes_on_with_a_database_that_was_made_anew(database, manage, pool_on, runs):
    manage("migrate", "-v0")
    pool = pool_on("-c", "1")
    manage("taskq_run", "tests.project.lab.tasks.quick", "before")
    wait_until(lambda: runs("end", "before"))
    for path in database.parent.glob("db.sqlite3*"):
        path.unlink()
    pool.wait_for_log("db.sqlite3 was removed or replaced; trying again")
    manage("migrate", "-v0")
    manage("taskq_run", "tests.project.lab.tasks.quick", "after")
    wait_until(lambda: runs("end", "after"))
    assert pool.stop() == 0


def test_a_pool_makes_no_file_of_its_own(database, manage, pool_on, runs):
    """An empty one would be in the way of whoever copies a backup there."""
    pool = pool_on("-c", "1")
    pool.wait_for_log("db.sqlite3: run manage.py migrate; trying again")
    assert not database.exists()
    manage("migrate", "-v0")
    manage("taskq_run", "tests.project.lab.tasks.quick", "a")
    wait_until(lambda: runs("end", "a"))
    assert pool.stop() == 0
