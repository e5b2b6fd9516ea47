"""``make screenshots``: the pictures of the docs, of a shop whose pool is at work."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import psycopg
from rich.console import Console, RenderableType
from rich.text import Text

from stress.rig.postgres import EmbeddedPostgres
from tests.site.browser import BROWSER, NAMES, command
from tests.site.dashboard_pictures import (
    fill_backlog,
    fill_figures,
    fill_workflow,
    photograph,
)

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs/img"
SETTINGS = "tests.site.screenshot_settings"
#: Seconds for what is started here to be ready.
PATIENCE = 60
WORKERS = 4
#: Of a terminal.
COLUMNS = 110
#: Whether enough of the chaos is over for a picture: losses, and figures of two minutes.
LOST = """
SELECT count(*) >= 40
       AND (SELECT count(DISTINCT at) FROM taskq_rollup WHERE step = 60 AND lost > 0) >= 2
FROM taskq_loss
"""
CHAOS = "stress chaos --seconds 60 --seed 7 -c 4"


def main() -> int:
    if BROWSER is None:
        print(f"on the path there is none of {', '.join(NAMES)}: install Debian's chromium")
        return 1
    with tempfile.TemporaryDirectory() as home, _server() as url:
        os.environ |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": SETTINGS}
        django.setup()
        _prepare()
        from taskq.overview import workers

        address = _free_address()
        with (
            _started("taskq_pool", "-c", str(WORKERS), home=home),
            _started("runserver", "--noreload", address, home=home),
        ):
            _wait_until(lambda: _answers(address), "the site answers")
            _wait_until(lambda: len(workers("default")) == WORKERS, "the pool is up")
            photograph(address, Path(home), IMAGES, dashboard_idle="")
            _fill()
            fill_figures()
            _draw("taskq-top", "manage.py taskq_top", _top())
            for name, page in _pages().items():
                _shoot(name, f"http://{address}/admin/taskq/{page}", Path(home))
            photograph(
                *(address, Path(home), IMAGES),
                **{"dashboard_busy": "", "dashboard_dark": "", "dashboard_phone": ""},
                dashboard_queues="queues/",
            )
            fill_backlog()
            photograph(address, Path(home), IMAGES, dashboard_million="")
            workflow = f"workflows/{fill_workflow()}/"
            photograph(address, Path(home), IMAGES, dashboard_workflow=workflow)
    with tempfile.TemporaryDirectory() as home, _server() as url:
        _photograph_chaos(url, Path(home))
    _draw("chaos-report", f"python -m {CHAOS}", _chaos())
    return 0


@contextmanager
def _server() -> Iterator[str]:
    server = EmbeddedPostgres()
    try:
        yield server.create_database("shop")
    finally:
        server.close()


def _photograph_chaos(url: str, home: Path) -> None:
    """The dashboard while its workers are killed. The tables and the user are there before."""
    os.environ["DATABASE_URL"] = url
    address = _free_address()
    for line in (["migrate", "-v0"], ["createsuperuser", "--noinput"]):
        names = {"DJANGO_SUPERUSER_USERNAME": "ada", "DJANGO_SUPERUSER_PASSWORD": "ada"}
        environment = {**os.environ, **names, "DJANGO_SUPERUSER_EMAIL": "ada@example.com"}
        subprocess.run([sys.executable, "-m", "django", *line], env=environment, check=True)
    without = {key: each for key, each in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    chaos = [sys.executable, "-m", *CHAOS.split(), "--database-url", url]
    with (
        (home / "chaos.log").open("wb") as log,
        _started("runserver", "--noreload", address, home=str(home)),
        subprocess.Popen(chaos, cwd=ROOT, env=without, stdout=log, stderr=log),
    ):
        _wait_until(lambda: _answers(address), "the site answers")

        def lost() -> bool:
            try:
                with psycopg.connect(url) as session:
                    found = session.execute(LOST).fetchone()
            except psycopg.OperationalError:  # sessions are killed too
                return False
            return found is not None and bool(found[0])

        _wait_until(lost, "workers were lost in two minutes")
        photograph(address, home, IMAGES, dashboard_chaos="", dashboard_losses="workers/")


@contextmanager
def _started(*arguments: str, home: str) -> Iterator[None]:
    with (Path(home) / f"{arguments[0]}.log").open("wb") as log:
        line = [sys.executable, "-m", "django", *arguments]
        process = subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _prepare() -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from stress.project.shop.models import Order

    call_command("migrate", verbosity=0)
    get_user_model().objects.create_superuser("ada", "ada@example.com", "ada")
    Order.objects.bulk_create(Order(number=number) for number in range(1, 41))


def _fill() -> None:
    """Tasks in each state: the first receipts go out, one is of an order that there is not, some
    labels take long, some are for later."""
    from stress.project.shop import tasks
    from taskq import pausing
    from taskq.models import Schedule, Task
    from taskq.overview import overview

    tasks.send_receipt.delay_many([(number,) for number in range(1, 41)])
    tasks.send_receipt.delay(404)
    for number in range(1, 13):
        tasks.print_label.apply_async((number, 600), priority=-1)
    tasks.charge_card.delay_many([(number,) for number in range(1, 7)], countdown=3600)
    tasks.ship.delay_many([(number,) for number in range(1, 9)], queue="warehouse")
    pausing.pause("mail", by="ada: the provider is down")
    _wait_until(
        lambda: (
            Task.objects.active().filter(name__endswith="print_label").count() >= WORKERS
            and Task.objects.failed().exists()
            and Schedule.objects.count() == 2
            and overview("default").workers[0].seconds > 4
        ),
        "the pool is busy",
    )


def _pages() -> dict[str, str]:
    from taskq.models import Task

    failed = Task.objects.failed().get()
    failed.traceback = failed.traceback.replace(str(ROOT), "/srv/shop")
    failed.save(update_fields=["traceback"])
    return {
        "admin-tasks": "task/",
        "admin-failed-task": f"task/{failed.pk}/change/",
        "admin-workers": "worker/",
        "admin-schedules": "schedule/",
    }


def _shoot(name: str, url: str, home: Path) -> None:
    picture = IMAGES / f"{name}.png"
    options = ["--window-size=1440,820", "--hide-scrollbars", f"--screenshot={picture}"]
    subprocess.run(
        command(home / "profile", *options, url),
        check=True,
        timeout=PATIENCE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    print(picture.relative_to(ROOT))


def _top() -> RenderableType:
    from taskq.management.top import screen
    from taskq.overview import overview

    return screen(overview("default"), rates=None, rows=None, database="shop")


def _chaos() -> Text:
    environment = {**os.environ, "DATABASE_URL": "", "COLUMNS": str(COLUMNS)}
    del environment["DJANGO_SETTINGS_MODULE"]
    ran = subprocess.run(
        [sys.executable, "-m", *CHAOS.split()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise SystemExit(f"chaos ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    # What it shows while it runs ends in the line with the title.
    title = re.findall(r"^.* chaos *$", ran.stdout, re.MULTILINE)[-1]
    return Text.from_ansi(ran.stdout.rpartition(title + "\n")[2])


def _draw(name: str, title: str, what: RenderableType) -> None:
    """What a terminal shows, as a picture in the fonts of the reader's system."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(what)
    drawn = console.export_svg(title=title, unique_id=name)
    picture = IMAGES / f"{name}.svg"
    picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL))
    print(picture.relative_to(ROOT))


def _wait_until(holds: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise SystemExit(f"{what}: not within {PATIENCE} s")
        time.sleep(0.1)


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"127.0.0.1:{found.getsockname()[1]}"


def _answers(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
