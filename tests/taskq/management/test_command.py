"""``manage.py taskq_pool`` as its user sees it."""

import os
import re
import signal
import subprocess
import sys

import psutil
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from stress.rig.pools import wait_until
from taskq.models import Task, Worker
from tests.project.lab import leftovers, tasks


def test_start_up_says_what_is_served(start_pool):
    pool = start_pool("-c", 2, "-Q", "default,mail*", "--lease", 6, "--heartbeat", 2)
    log = pool.log()
    assert re.search(r"queues +default, mail\*", log)
    assert re.search(r"database +default: (PostgreSQL|SQLite)", log)
    assert re.search(r"workers +2", log)
    assert re.search(r"lease +6 s, heartbeat 2 s", log)
    assert "tests.project.lab.tasks.quick" in log


@pytest.mark.sqlite  # to run it on one is enough
def test_titles_say_who_is_who_and_what_runs(start_pool, runs):
    pool = start_pool("-c", 2)
    assert psutil.Process(pool.pid).cmdline()[0] == "taskq_pool: supervisor"
    pk = tasks.nap.delay("a", 60).id.int
    (start,) = wait_until(lambda: runs("start", "a"))
    titles = pool.titles()
    assert set(titles) == {"keeper", "worker 1", "worker 2"}
    doing = {pid: text for pid, text in titles.values()}
    assert doing[start["pid"]] == f"tests.project.lab.tasks.nap #{pk}"
    # A worker is up a moment before it says that it is idle.
    wait_until(lambda: "idle" in [text for _, text in pool.titles("worker").values()])


@pytest.mark.sqlite  # to run it on one is enough
def test_titles_say_what_runs_without_its_id_where_runs_are_quick(
    start_pool, runs, drained, tmp_path
):
    go = tmp_path / "go"
    pool = start_pool("-c", 1)
    # Many, as one that takes long on a busy machine counts for less with each that follows.
    for key in range(30):
        tasks.nap_until.delay(key)
    drained()
    tasks.nap_until.delay("a", str(go))
    wait_until(lambda: runs("start", "a"))
    (doing,) = pool.titles("worker").values()
    assert doing[1] == "tests.project.lab.tasks.nap_until"
    go.touch()
    wait_until(lambda: pool.titles("worker")["worker 1"][1] == "idle")


@pytest.mark.sqlite  # to run it on one is enough
def test_usr1_logs_the_scoreboard(start_pool, runs):
    pool = start_pool("-c", 1)
    pk = tasks.nap.delay("a", 60).id.int
    wait_until(lambda: runs("start", "a"))
    pool.signal(signal.SIGUSR1)
    pool.wait_for_log(f"busy runs tests.project.lab.tasks.nap #{pk} for")


@pytest.mark.sqlite  # to run it on one is enough
def test_workers_are_added_and_removed_while_it_runs(start_pool):
    pool = start_pool("-c", 1)
    pool.signal(signal.SIGTTIN)
    wait_until(lambda: len(pool.children("worker")) == 2)
    wait_until(lambda: len(pool.leases()) == 3)
    pool.signal(signal.SIGTTOU)
    wait_until(lambda: len(pool.children("worker")) == 1)
    wait_until(lambda: len(pool.leases()) == 2)


def test_only_the_given_queues_are_served(start_pool, runs):
    start_pool("-c", 1, "-Q", "mail*")
    tasks.quick.apply_async(("other",))
    tasks.quick.apply_async(("mail",), queue="mail")
    tasks.quick.apply_async(("slow",), queue="mail-slow")
    wait_until(lambda: len(runs("end")) == 2)
    assert {record["key"] for record in runs("end")} == {"mail", "slow"}
    wait_until(lambda: Task.objects.count() == 1)  # an end is noted before it is written
    assert Task.objects.get().queue == "default"


@pytest.mark.parametrize(("fails", "code"), [(False, 0), (True, 1)])
def test_burst_ends_when_nothing_is_due_and_says_whether_a_task_failed(
    start_pool, runs, fails, code
):
    for key in range(30):
        tasks.quick.delay(key)
    tasks.quick.apply_async(("later",), countdown=3600)
    if fails:
        tasks.fail.delay("fails")
    pool = start_pool("-c", 2, "--burst", ready=False)
    assert pool.wait_exit() == code
    assert len(runs("end")) == 30
    assert not Worker.objects.exists()


def test_burst_counts_a_task_that_killed_its_workers_as_failed(start_pool):
    tasks.exit_hard.delay("a", 3)
    pool = start_pool("-c", 1, "--burst", ready=False)
    assert pool.wait_exit() == 1


@pytest.mark.sqlite  # to run it on one is enough
def test_workers_are_replaced_after_so_many_tasks(start_pool, runs, drained):
    pool = start_pool("-c", 1, "--max-tasks-per-child", 5)
    for key in range(20):
        tasks.quick.delay(key)
    drained()
    per_worker = [record["pid"] for record in runs("end")]
    assert len(per_worker) == 20
    assert max(per_worker.count(pid) for pid in per_worker) == 5
    assert "died" not in pool.log()


@pytest.mark.sqlite  # to run it on one is enough
def test_workers_are_replaced_when_they_have_grown(start_pool, runs, drained):
    pool = start_pool("-c", 1, "--max-memory-per-child", 200_000)
    (first,) = pool.children("worker").values()
    tasks.quick.delay("small")
    wait_until(lambda: runs("end", "small"))
    leftovers.leak.delay("large", 300)
    wait_until(lambda: runs("end", "large"))
    wait_until(lambda: first not in pool.children("worker").values())
    tasks.quick.delay("after")
    wait_until(lambda: runs("end", "after"))
    assert "died" not in pool.log()


def test_taskq_is_a_pool_with_one_worker(environment, runs):
    tasks.quick.delay("a")
    command = [sys.executable, "-m", "tests.project.manage", "taskq", "--burst"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"workers +1", answer.stderr)
    assert runs("end", "a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--burst", "--reload"], "--burst and --reload exclude each other"),
        (["--lease", "soon"], "--lease is 'soon': give a number"),
        (["--lease", "0.5"], "--lease is 0.5: give a number of seconds from 1"),
        (["--heartbeat", "11"], "--heartbeat is 11.0: the heartbeat"),
        (["-c", "0"], "--concurrency is 0: give a whole number from 1"),
        (["-c", "many"], "--concurrency is 'many': give a number"),
        (["--database", "elsewhere"], "--database is 'elsewhere': no such alias"),
        (["-Q", "a,,b"], "empty queue name"),
        (["-l", "LOUD"], "'LOUD' is no log level"),
        (["--max-memory-per-child", "-1"], "--max-memory-per-child is -1: give"),
        (["--soft-time-limit", "5", "--time-limit", "2"], "must be below TIME_LIMIT"),
    ],
)
def test_bad_options_are_refused_with_the_mend(options, message):
    with pytest.raises(CommandError, match=re.escape(message)):
        call_command("taskq_pool", *options)


def test_the_direct_way_that_listen_names_is_no_database_of_its_own(settings, monkeypatch):
    monkeypatch.setitem(connections.settings, "direct", connections["default"].settings_dict)
    settings.TASKQ = {"LISTEN": "direct"}
    with pytest.raises(
        CommandError, match="--database is 'direct', which TASKQ\\['LISTEN'\\] names"
    ):
        call_command("taskq_pool", "--database", "direct")


def test_without_fork_the_command_refuses_in_one_sentence(monkeypatch):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(CommandError, match="needs fork"):
        call_command("taskq_pool")


def test_a_database_in_memory_is_refused(monkeypatch):
    kind = type(connections["default"])
    monkeypatch.setattr(kind, "vendor", "sqlite")
    monkeypatch.setattr(kind, "is_in_memory_db", lambda self: True, raising=False)
    with pytest.raises(CommandError, match="is in memory"):
        call_command("taskq_pool")


@pytest.mark.sqlite  # to run it on one is enough
def test_a_site_that_cannot_boot_its_workers_is_given_up_with_a_reason(start_pool, tmp_path):
    """Settings that break in the worker only: it dies at every start."""
    pool = start_pool("-c", 1, ready=False, TASKQ_TEST_BREAK_WORKERS="1")
    assert pool.wait_exit() == 1
    log = pool.log()
    assert "no worker ever came up" in log
    assert log.count("Traceback") == 1, "why is said once"


@pytest.mark.sqlite  # to run it on one is enough
def test_the_sites_logging_is_respected(environment, tmp_path):
    (tmp_path / "quiet_settings.py").write_text(
        "from tests.project.settings import *\n"
        "LOGGING = {'version': 1, 'handlers': {'file': {'class': 'logging.FileHandler', "
        f"'filename': '{tmp_path}/site.log'}}}}, "
        "'loggers': {'taskq': {'handlers': ['file'], 'level': 'WARNING'}}}\n"
    )
    env = {
        **environment,
        "PYTHONPATH": f"{tmp_path}:{os.getcwd()}",
        "DJANGO_SETTINGS_MODULE": "quiet_settings",
    }
    tasks.fail.delay("a")
    command = [sys.executable, "-m", "tests.project.manage", "taskq_pool", "-c", "1", "--burst"]
    answer = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 1
    site_log = (tmp_path / "site.log").read_text()
    assert "failed: ValueError: no good" in site_log
    assert "queues" not in site_log
    assert "failed: ValueError" not in answer.stderr
    # --loglevel goes over what LOGGING says.
    tasks.quick.delay("b")
    subprocess.run([*command, "-l", "info"], env=env, capture_output=True, timeout=120)
    assert "queues" in (tmp_path / "site.log").read_text()
