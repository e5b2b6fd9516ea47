"""``taskq_status`` and ``taskq_top``: the queue at a glance."""

from __future__ import annotations

import datetime
import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from stress.rig.pools import GENEROUS, wait_until
from taskq import overview, pausing
from taskq.management.top import span
from taskq.models import Rollup, State, Task, Worker
from taskq.models.statistics import Step
from taskq.workflow import Workflow
from tests.project.lab import tasks

HOUR = datetime.timedelta(hours=1)


def status(capsys, *options):
    """The exit code and what was printed."""
    try:
        call_command("taskq_status", *options)
        code = 0
    except SystemExit as leaving:
        code = leaving.code
    return code, capsys.readouterr().out


def line_of(text, queue):
    (line,) = [line for line in text.splitlines() if line.startswith(queue)]
    return line.split()


@pytest.fixture
def _tasks(db):
    """Some in each state, on two queues."""
    alive = Worker.objects.create(
        pool="a:1", name="worker 1", host="a", pid=11, lease_expires_at=Now() + HOUR
    )
    dead = Worker.objects.create(
        pool="b:2", name="worker 1", host="b", pid=22, lease_expires_at=Now() - HOUR
    )
    for pool in ("a:1", "b:2"):
        Worker.objects.create(
            pool=pool, name="keeper", host="a", pid=1, lease_expires_at=Now() + HOUR
        )

    def make(**fields):
        Task.objects.create(name="work", **fields)

    make(execute_at=Now() - HOUR)
    make()
    make(execute_at=Now() + HOUR)
    make(state=State.RUNNING, worker=alive, started_at=Now() - HOUR)
    make(state=State.RUNNING, worker=dead, started_at=Now())
    make(state=State.FAILED, queue="mail", failed_at=Now())


@pytest.mark.django_db
def test_status_of_an_empty_queue_without_a_pool(capsys):
    code, said = status(capsys)
    assert code == 3
    assert "no tasks" in said
    assert "0 workers alive in 0 pools" in said
    assert "! no worker is alive: start manage.py taskq_pool" in said


@pytest.mark.usefixtures("_tasks")
def test_status_counts_each_queue_by_state(capsys):
    code, said = status(capsys)
    assert line_of(said, "queue")[:6] == [
        "queue",
        *("pending", "future", "active", "lost", "failed"),
    ]
    *counts, oldest, _ = line_of(said, "default")
    assert counts[:6] == ["default", "2", "1", "1", "1", "0"]
    assert 3600 <= float(oldest) < 3700
    *counts, oldest = line_of(said, "mail")
    assert counts[:6] == ["mail", "0", "0", "0", "0", "1"]
    assert oldest == "-"
    assert "1 workers alive in 1 pools, 1 busy" in said
    assert code == 3
    assert "! 1 tasks are lost" in said


@pytest.mark.usefixtures("_tasks")
def test_status_as_json(capsys):
    code, said = status(capsys, "--json")
    found = json.loads(said)
    assert code == 3
    counts = {"pending": 2, "future": 1, "active": 1, "lost": 1, "failed": 1}
    assert counts.items() <= found["total"].items()
    assert [queue["queue"] for queue in found["queues"]] == ["default", "mail"]
    assert (found["alive"], found["busy"], found["pools"]) == (1, 1, 1)
    busy, dead = found["workers"]
    assert (busy["pool"], busy["holds"], busy["name"]) == ("a:1", 1, "work")
    assert 3600 <= busy["seconds"] < 3700
    assert 3500 < busy["lease"] <= 3600
    assert dead["lease"] < 0
    assert len(found["problems"]) == 1


@pytest.mark.usefixtures("_tasks")
@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (("--max-wait", "3000"), "has been due for 36"),
        (("--max-pending", "1"), "2 tasks are due"),
        (("--max-failed", "0"), "1 tasks have failed"),
    ],
)
def test_status_says_what_passes_a_limit(capsys, limit, said):
    Task.objects.lost().delete()
    assert status(capsys)[0] == 0
    code, text = status(capsys, *limit)
    assert code == 3
    assert said in text
    assert limit[0] in text
    assert status(capsys, limit[0], "9999")[0] == 0


@pytest.mark.usefixtures("_tasks")
def test_status_and_top_say_which_queues_are_paused(capsys):
    Task.objects.lost().delete()
    pausing.pause("mail", by="ada")
    pausing.pause("empty")
    code, said = status(capsys)
    assert code == 0  # somebody meant it
    assert re.search(r"^mail paused since .* by ada: nothing of it is claimed$", said, re.M)
    assert line_of(said, "empty  ")[:3] == ["empty", "0", "0"]
    found = json.loads(status(capsys, "--json")[1])
    assert {queue["queue"]: queue["paused"] for queue in found["queues"]} == {
        **{"default": False, "mail": True, "empty": True}
    }
    call_command("taskq_top", "--once")
    assert re.search(r"^ *mail  paused", capsys.readouterr().out, re.M)


@pytest.mark.usefixtures("_tasks")
def test_status_and_top_say_that_a_workflow_stands_still(capsys):
    Task.objects.lost().delete()
    flow = Workflow()
    first = flow.add(tasks.noop)
    flow.add(tasks.noop, after=[first])
    sent = flow.send()
    assert "stands still" not in status(capsys)[1]
    sent.steps_left().filter(pk=sent.task_ids[0]).update(state=State.FAILED, failed_at=Now())
    code, said = status(capsys)
    assert code == 0
    assert "a workflow stands still, as a step of it has failed" in said
    assert line_of(said, "default")[7] == "1"  # blocked
    found = json.loads(status(capsys, "--json")[1])
    assert found["stands_still"] is True
    assert found["total"]["blocked"] == 1
    call_command("taskq_top", "--once")
    assert "a workflow stands still" in capsys.readouterr().out


@pytest.mark.usefixtures("_tasks")
def test_status_and_top_say_which_names_no_worker_knows(capsys):
    Task.objects.lost().delete()
    for name in ("shop.jobs.greet", "shop.jobs.greet", "evil\x1b[2J"):
        Task.objects.create(name=name, unknown_since=Now(), execute_at=Now() + HOUR)
    code, said = status(capsys)
    assert code == 3
    assert "! 3 tasks wait for a worker that knows their names: shop.jobs.greet (2), evil" in said
    assert "TASKQ['IMPORTS']" in said
    assert "\x1b" not in said
    found = json.loads(status(capsys, "--json")[1])
    assert found["unknown"] == {"shop.jobs.greet": 2, "evil\x1b[2J": 1}
    call_command("taskq_top", "--once")
    assert "3 of unknown names" in capsys.readouterr().out


@pytest.mark.django_db
@pytest.mark.parametrize("option", ["--max-wait", "--max-pending", "--max-failed"])
def test_status_refuses_a_limit_below_zero(option):
    with pytest.raises(CommandError, match=f"{option} is -1: give a number from 0"):
        call_command("taskq_status", f"{option}=-1")


def test_status_and_top_of_a_pool_at_work(capsys, start_pool, runs):
    pool = start_pool("-c", 2)
    pk = tasks.nap.delay("a", 60).id.int
    wait_until(lambda: runs("start", "a"))
    code, said = status(capsys)
    assert code == 0
    assert line_of(said, "default")[:4] == ["default", "0", "0", "1"]
    assert "2 workers alive in 1 pools, 1 busy" in said

    call_command("taskq_top", "--once")
    said = capsys.readouterr().out
    busy, idle = [line.strip() for line in said.splitlines() if "worker " in line and ":" in line]
    assert f":{pool.pid}" in busy
    assert busy.endswith(f"tests.project.lab.tasks.nap #{pk}")
    assert " s  " in busy
    assert idle.rstrip().endswith("idle")
    call_command("taskq_top", "--once", "--workers", "1")
    assert "… 1 more" in capsys.readouterr().out


def test_top_goes_on_until_ctrl_c(environment, start_pool):
    start_pool("-c", 1)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.project.manage", "taskq_top", "--interval", "0.2"],
        env={**environment, "TERM": "xterm", "COLUMNS": "150", "LINES": "40"},
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    os.set_blocking(master, False)
    shown = b""

    def ended():
        nonlocal shown
        try:
            shown += os.read(master, 65536)  # or it waits to be read
        except BlockingIOError:
            pass
        except OSError:
            return True  # its end is closed
        return process.poll() is not None

    def counted():
        tasks.quick.delay("a")
        assert not ended(), shown
        rates = re.findall(rb"([\d.]+) in/s  ([\d.]+) out/s", shown)
        return b"1 workers" in shown and any(float(i) > 0 < float(o) for i, o in rates)

    try:
        wait_until(counted, what="rates")
        process.send_signal(signal.SIGINT)
        wait_until(ended)
        process.wait(GENEROUS)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"Traceback" not in shown


@pytest.mark.django_db
def test_top_without_rich_names_the_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(CommandError, match=r"pip install 'taskq-pool\[top\]'"):
        call_command("taskq_top", "--once")


@pytest.mark.django_db
@pytest.mark.parametrize("option", ["--interval=0", "--workers=0"])
def test_top_refuses_what_makes_no_sense(option):
    with pytest.raises(CommandError, match=f"{option.partition('=')[0]} is 0: give a"):
        call_command("taskq_top", option)


def _alone():
    """Whether the sessions of earlier tests are over: each counts what it did at its end."""
    if connection.vendor == "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0] == 0


def test_flow_counts_what_came_and_went(transactional_db):
    wait_until(_alone, what="the end of other sessions")
    before = overview.flow("default")
    results = [tasks.quick.delay(n) for n in range(5)]
    for result in results[:3]:
        result.revoke()

    def seen():
        now = overview.flow("default")
        return (now.came - before.came, now.went - before.went) == (5, 3)

    wait_until(seen, what="the counters")
    earlier, later = overview.Flow(10, 10, at=1.0), overview.Flow(14, 12, at=3.0)
    assert later.since(earlier) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59, "59 s"), (185, "3:05"), (7385, "2:03:05")],
)
def test_spans_are_read_by_people(seconds, text):
    assert span(seconds) == text


@pytest.mark.postgresql
def test_few_that_wait_or_run_are_counted_without_the_many_that_failed(transactional_db):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO taskq_task (name, queue, state, failed_at) "
            "SELECT 'x', 'q' || n % 3, CASE WHEN n % 100 = 0 THEN 1 WHEN n % 100 = 1 THEN 0 "
            "ELSE 2 END, now() FROM generate_series(1, 20000) n"
        )
        # As long as the indexes have the pages that other tests have filled, they seem costly.
        cursor.execute("REINDEX TABLE taskq_task")

        def is_vacuumed():
            """A session that another test has left may still see the rows for a moment."""
            cursor.execute("VACUUM ANALYZE taskq_task")
            cursor.execute(
                "SELECT relallvisible > 0.9 * relpages FROM pg_class WHERE relname = 'taskq_task'"
            )
            return cursor.fetchone() == (True,)

        wait_until(is_vacuumed, what="the table to be vacuumed")
    waiting, running, _, blocked = (
        query.explain() for query in overview.by_queue(Task.objects.all())
    )
    assert "taskq_task_ready" in waiting
    assert "taskq_task_running" in running
    assert "taskq_task_blocked" in blocked


@pytest.mark.django_db
def test_status_as_json_has_the_runs_of_the_last_hour_by_name(capsys):
    at = timezone.now().replace(second=0, microsecond=0)
    common = {"step": Step.MINUTE, "name": "shop.send", "queue": "mail", "pool": "a"}
    Rollup.objects.create(**common, at=at, done=3, lost=1, run_08=3, wait_02=3)
    Rollup.objects.create(**common, at=at - 2 * HOUR, done=100, run_00=100)
    (found,) = json.loads(status(capsys, "--json")[1])["last_hour"].items()
    name, said = found
    assert name == "shop.send"
    counts = {"done": 3, "failed": 0, "retried": 0, "lost": 1, "cancelled": 0}
    assert counts.items() <= said.items()
    assert 0.1 < said["run_p50"] < said["run_p95"] <= 0.25
    assert 0.001 < said["wait_p50"] < said["wait_p95"] <= 0.0025
