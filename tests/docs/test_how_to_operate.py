"""The pages for those who run a pool: their code runs, and their commands do what they say."""

from __future__ import annotations

import json
import logging.config
import os
import re
import subprocess
import types
from collections import Counter
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from django.db import connection
from django.test import RequestFactory

from stress.rig.pools import wait_until
from stress.rig.postgres import POSTGRES_VERSIONS
from taskq import conf, events
from taskq.models import Task
from tests.docs.pages import block, blocks, shell_lines
from tests.project.lab import tasks
from tests.taskq.running import run


def run_block(page: str, has: str) -> types.ModuleType:
    """What a Python block of a page defines."""
    module = types.ModuleType(page)
    exec(compile(block(page, "python", has), page, "exec"), vars(module))
    return module


@pytest.mark.django_db
def test_the_view_of_the_page_answers_a_scraper_that_knows_the_token(settings, monkeypatch):
    monkeypatch.setenv("TASKQ_METRICS_TOKEN", "0123456789abcdef")
    settings.TASKQ = run_block("how-to/monitor.md", "METRICS_TOKEN").TASKQ
    (pattern,) = run_block("how-to/monitor.md", "metrics.view").urlpatterns
    (job,) = [
        each
        for each in yaml.safe_load(block("how-to/monitor.md", "yaml", "scrape"))["scrape_configs"]
        if "metrics_path" in each
    ]
    assert job["metrics_path"] == f"/{pattern.pattern}"
    tasks.add.apply_async((1, 2), queue="mail")
    ask = RequestFactory().get("/", headers={"Authorization": "Bearer 0123456789abcdef"})
    assert b'taskq_due_tasks{priority="0",queue="mail"} 1.0\n' in pattern.callback(ask).content
    assert pattern.callback(RequestFactory().get("/")).status_code == 401


def test_the_page_on_logs_makes_json_of_every_line_of_a_task(capsys, registered):
    page = run_block("how-to/logs.md", "LOGGING = ")
    before = logging.root.handlers[:], logging.root.level
    logging.config.dictConfig(page.LOGGING)
    try:
        for part in ("def send_in_background", "def send(order)"):
            exec(block("how-to/logs.md", "python", part), vars(page))
        events.lease_reclaimed("worker 1", 2)
        run(page.send, 7)
        page.send_in_background("a@example.org")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        logging.root.handlers[:], logging.root.level = before
    lost, sending, sent = lines
    assert (lost["event"], lost["tasks"], lost["level"]) == ("lease.reclaimed", 2, "WARNING")
    assert (sending["message"], sending["order"], sending["task_id"]) == ("sending", 7, 7)
    assert sent["message"] == "sent to a@example.org"
    (example,) = blocks("how-to/logs.md", "json")
    assert json.loads(example).keys() >= sending.keys() - {"order", "attempt", "worker"}


def test_what_the_pages_set_are_settings_that_there_are():
    found = Counter()
    for code in blocks("how-to/pgbouncer.md", "python"):
        page = {"DATABASES": {"default": {}}}
        exec(code, page)
        assert conf.problems(page.get("TASKQ", {})) == []
        found.update(page.get("TASKQ", {}).keys())
        if "direct" in page["DATABASES"]:
            assert page["TASKQ"]["LISTEN"] == "direct"
    assert found == {"LISTEN": 2, "POLL": 1}


def test_the_router_keeps_the_tasks_apart():
    router = run_block("how-to/databases.md", "class TasksApart").TasksApart()
    assert router.db_for_write(Task) == router.db_for_read(Task) == "queue"
    assert router.allow_migrate("queue", "taskq") is True
    assert router.allow_migrate("default", "taskq") is False
    assert router.allow_migrate("default", "shop") is None


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["upgrade", "backup"])
def test_what_a_page_has_the_shell_say_is_right(page, capsys):
    tasks.add.delay(1, 2)
    (line,) = [each for each in shell_lines(f"how-to/{page}.md") if "manage.py shell -c" in each]
    code = re.search(r'-c "(.*)"$', line)[1]
    assert "'shop.tasks.send_receipt'" in code
    exec(code.replace("shop.tasks.send_receipt", tasks.add.name), {})
    assert capsys.readouterr().out.strip() == "1"


@pytest.mark.django_db
def test_the_check_of_the_page_says_what_the_page_says(capsys):
    tasks.add.delay(1, 2)
    (line,) = [each for each in shell_lines("how-to/monitor.md") if "--max-wait" in each]
    with pytest.raises(SystemExit) as end:
        call_command(*line.split()[2:])
    assert end.value.code == 3
    assert "! no worker is alive: start manage.py taskq_pool" in capsys.readouterr().out


@pytest.mark.postgresql
def test_an_interrupted_task_of_a_restored_backup_runs_again(start_pool, runs, tmp_path):
    """By the commands of the page, in the place of whose database name ours stands."""
    options = ("-c", "1", "--lease", "6", "--heartbeat", "1")
    pool = start_pool(*options)
    tasks.nap.delay("napping", 60)
    wait_until(lambda: runs("start", "napping"))
    dump, restore = [
        next(each for each in shell_lines("how-to/backup.md") if each.startswith(program))
        for program in ("pg_dump", "pg_restore")
    ]
    name = connection.settings_dict["NAME"]
    run_on_the_server(re.sub(r"\bmysite$", name, dump), tmp_path)
    pool.kill_all()

    restored = f"{name}_restored"
    run_on_the_server(f"createdb {restored}", tmp_path)
    try:
        run_on_the_server(re.sub(r"\bmysite_restored\b", restored, restore), tmp_path)
        url = os.environ["DATABASE_URL"]
        base, _, query = url.partition("?")
        other = f"{base.rpartition('/')[0]}/{restored}?{query}"
        again = start_pool(*options, ready=False, DATABASE_URL=other)
        wait_until(lambda: len(runs("start", "napping")) == 2)
        again.kill_all()
    finally:
        run_on_the_server(f"dropdb --force {restored}", tmp_path)


def run_on_the_server(command: str, directory: Path) -> None:
    """A program of PostgreSQL's own, of the version of the server of the tests."""
    settings = connection.settings_dict
    program, *words = command.split()
    subprocess.run(
        [programs() / program, *words],
        cwd=directory,
        env={
            **os.environ,
            "PGHOST": settings["HOST"] or settings["OPTIONS"].get("host", ""),
            "PGUSER": settings["USER"],
            "PGPASSWORD": settings["PASSWORD"],
            "PGPORT": str(settings["PORT"] or 5432),
        },
        check=True,
        timeout=180,
    )


def programs() -> Path:
    """Where they are. An older server refuses what a newer pg_dump says."""
    connection.ensure_connection()
    version = connection.pg_version // 10_000
    if version not in POSTGRES_VERSIONS:
        pytest.skip(f"the wheel has no pg_dump of PostgreSQL {version}")
    return POSTGRES_VERSIONS[version]
