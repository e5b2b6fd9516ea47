"""The monkey torments a real pool of a real project, and refuses what it should not do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import stress
from stress.monkey.freezer import Freezer
from stress.monkey.victims import PoolAtWork, Refused
from stress.project.shop import tasks
from stress.rig.pools import wait_until
from taskq.models import Task

ROOT = Path(stress.__file__).parents[1]
MONKEY = [sys.executable, "-m", "stress", "monkey"]
#: Seconds of a lease: a machine that is busy renews it in time.
LEASE = 6
SHORT = ["--lease", str(LEASE), "--heartbeat", "1"]


@pytest.fixture
def monkey(environment, tmp_path):
    """Run the monkey: its exit code, what it said, and the JSON that it wrote."""

    def run(*options, settings="stress.project.settings", cwd=None):
        report = tmp_path / "monkey.json"
        command = [*MONKEY, *map(str, options), "--json", str(report)]
        done = subprocess.run(
            command,
            env={**environment, "DJANGO_SETTINGS_MODULE": settings, "PYTHONPATH": str(ROOT)},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=500,
        )
        said = " ".join((done.stdout + done.stderr).split())
        return done.returncode, said, json.loads(report.read_text()) if report.exists() else None

    return run


def is_frozen(process):
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def shop():
    """Work for a pool: slow tasks, so that each victim holds one, and more than can be done."""
    tasks.print_label.delay_many([(number, 0.4) for number in range(2_000)])


@pytest.mark.postgresql
def test_what_the_monkey_kills_and_freezes_is_mended_and_nothing_is_lost(start_pool, shop, monkey):
    pool = start_pool("-c", 4, "--hostname", "shop", *SHORT)
    code, said, report = monkey(
        "--pool", pool.pid, "--kill-every", 0.5, "--seconds", 8, "--seed", 4, *SHORT, "--yes"
    )
    assert code == 0, said
    assert report["ok"]
    assert report["lost"] == report["unmended"] == report["false_expiries"] == 0
    assert report["kills"] >= 4
    assert report["freezes"] >= 2
    assert report["held"] >= report["retried"] > 0
    recovery = report["recovery_s"]["worker-kill"]
    assert recovery["n"] >= 2
    # Nobody waited for a lease to end.
    assert 0 < recovery["median"] < LEASE
    assert 0 < report["mended_s"]["worker-kill"]["median"] < LEASE
    # What it says is what the pool itself says.
    assert report["events"]["child.died"] >= report["kills"]
    assert pool.process.poll() is None
    assert not [p for p in pool.descendants() if is_frozen(p)]


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_task_that_nobody_takes_back_counts_as_lost(start_pool, shop, monkey, refusing):
    pool = start_pool("-c", 2, *SHORT)
    # As if a protection failed: held under a lease that there is not, and nobody can end it.
    refusing("INSERT", "taskq_worker", f"NEW.id = {10**9}", silently=True)
    Task.objects.filter(pk=Task.objects.latest("pk").pk).update(state=1, worker_id=10**9)
    code, said, report = monkey(
        "--pool", pool.pid, "--kill-every", 1, "--seconds", 2, "--seed", 1, "--yes", "--lease", 1.5
    )
    assert code == 2, said  # the pool's leases are longer than that
    code, said, report = monkey(
        "--pool", pool.pid, "--kill-every", 1, "--seconds", 2, "--seed", 1, "--yes", *SHORT
    )
    assert code == 1, said
    assert report["lost"] == 1
    assert not report["ok"]


def test_it_refuses_where_debug_is_off_unless_that_is_meant(start_pool, monkey):
    pool = start_pool("-c", 1)
    code, said, report = monkey("--pool", pool.pid, "--seconds", 1)
    assert (code, report) == (2, None)
    assert "DEBUG is off in stress.project.settings" in said
    assert "--yes" in said


def test_it_finds_the_settings_by_manage_py(start_pool, monkey, tmp_path):
    pool = start_pool("-c", 1)
    (tmp_path / "manage.py").write_text(
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stress.project.settings")\n'
    )
    code, said, _ = monkey("--pool", pool.pid, "--seconds", 1, settings="", cwd=tmp_path)
    assert code == 2
    assert "DEBUG is off in stress.project.settings" in said
    (tmp_path / "manage.py").unlink()
    code, said, _ = monkey("--pool", pool.pid, "--seconds", 1, settings="", cwd=tmp_path)
    assert code == 2
    assert "DJANGO_SETTINGS_MODULE is not set" in said


def test_it_refuses_a_pool_of_another_database(start_pool, monkey, tmp_path, environment):
    pool = start_pool("-c", 1)
    environment["DATABASE_URL"] = f"sqlite:///{tmp_path}/other.sqlite3"
    migrate = [sys.executable, "-m", "stress.project.manage", "migrate", "-v0"]
    subprocess.run(
        migrate,
        env={**environment, "DJANGO_SETTINGS_MODULE": "stress.project.settings"},
        check=True,
    )
    code, said, _ = monkey("--pool", pool.pid, "--seconds", 1, "--yes")
    assert code == 2
    assert f":{pool.pid} (it has: none)" in said


def test_it_refuses_a_process_that_is_no_supervisor(start_pool):
    with pytest.raises(Refused, match="taskq_pool: supervisor"):
        PoolAtWork(os.getpid())
    with pytest.raises(Refused, match="taskq_pool: keeper"):
        PoolAtWork(start_pool("-c", 1).children("keeper")["keeper"])
    sleeper = subprocess.Popen(["true"])
    sleeper.wait()
    with pytest.raises(Refused, match="no such process"):
        PoolAtWork(sleeper.pid)


def test_what_is_frozen_is_thawed_even_when_the_monkey_is_killed():
    sleeper = psutil.Popen(["sleep", "60"])
    try:
        monkey = os.fork()
        if monkey == 0:
            freezer = Freezer()
            freezer.freeze(sleeper)
            signal.pause()
        wait_until(lambda: sleeper.status() == psutil.STATUS_STOPPED, what="frozen")
        os.kill(monkey, signal.SIGKILL)
        os.waitpid(monkey, 0)
        wait_until(lambda: sleeper.status() != psutil.STATUS_STOPPED, what="thawed by the guard")
    finally:
        sleeper.kill()
        sleeper.wait()


def test_ctrl_c_thaws_and_reports(start_pool, environment, tmp_path):
    pool = start_pool("-c", 3, "--lease", 60, "--heartbeat", 1)
    report = tmp_path / "interrupted.json"
    # With such a lease the long freezes outlast the test: only a thaw ends them.
    options = ["--lease", 60, "--heartbeat", 1, "--kill-every", 0.1, "--seed", 2, "--yes"]
    run = subprocess.Popen(
        [*MONKEY, "--pool", str(pool.pid), *map(str, options), "--json", str(report)],
        env={**environment, "DJANGO_SETTINGS_MODULE": "stress.project.settings"},
        stdout=subprocess.DEVNULL,
    )

    def frozen():
        return [p for p in pool.descendants() if is_frozen(p)]

    since: dict[int, float] = {}

    def frozen_for_longer_than_a_kill_takes():
        now = time.monotonic()
        pids = {process.pid for process in frozen()}
        since.update({pid: since.get(pid, now) for pid in pids})
        return any(now - since[pid] > 0.5 for pid in pids)

    wait_until(frozen_for_longer_than_a_kill_takes, seconds=120, what="a freeze")
    run.send_signal(signal.SIGINT)
    run.wait(60)
    assert json.loads(report.read_text())["freezes"] > 0
    assert not frozen()
