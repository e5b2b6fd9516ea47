"""What the README and the quickstart show is run here, as a reader would."""

from __future__ import annotations

import contextvars
import os
import re
import shlex
import subprocess
import sys
import types
from contextlib import nullcontext
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.db import connection

from taskq import events, signals
from taskq.celery import shared_task
from taskq.models import Task
from taskq.schedules import entries
from taskq.task import registry
from taskq.task.claimed import Claimed
from taskq.worker.executor import Executor, request_of

ROOT = Path(__file__).resolve().parents[1]
#: Steps that make an environment: the tests have one.
GIVEN = ("python -m venv", "git clone", "pip install")


def section(page: str, title: str) -> str:
    text = (ROOT / page).read_text()
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def steps(text: str) -> list[tuple[str, str]]:
    """The shell lines, as ("", line), and the code blocks, as (file named before it, code)."""
    found = []
    pattern = r"^    (?P<line>\S[^\n]*)$|^```python\n(?P<code>.*?)^```$|`(?P<file>[\w/]+\.py)`"
    file = ""
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        if match["file"]:
            file = match["file"]
        elif match["code"]:
            found.append((file, match["code"]))
        else:
            found.append(("", match["line"]))
    return found


def test_the_readme_takes_a_new_project_to_its_first_task(tmp_path):
    directory = tmp_path
    printed = ""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    for file, text in steps(section("README.md", "Use it")):
        if file:
            with (directory / file).open("a") as opened:
                opened.write(text)
            continue
        for command in text.split(" && "):
            if command.startswith(GIVEN) or command.startswith(". "):
                continue
            if command.startswith("cd "):
                directory /= command.removeprefix("cd ")
                continue
            answer = subprocess.run(
                shlex.split(command), cwd=directory, env=environment, capture_output=True, text=True
            )
            assert answer.returncode == 0, f"{command}\n{answer.stdout}{answer.stderr}"
            printed += answer.stdout
    assert "Hello, world!" in printed


@pytest.mark.django_db
def test_the_page_on_runs_runs_and_carries_a_trace(registered, no_receivers, monkeypatch):
    page = types.ModuleType("runs_page")
    monkeypatch.setitem(sys.modules, "runs_page", page)
    blocks = [code for _, code in steps((ROOT / "docs/how-to/runs.md").read_text()) if "\n" in code]
    assert len(blocks) >= 6
    for code in blocks:
        exec(compile(code, "docs/how-to/runs.md", "exec"), vars(page))
    Task.objects.all().delete()
    contextvars.copy_context().run(page.view, 7)
    (trace,) = re.findall(r"00-\w{32}-\w{16}-01", Task.objects.get().payload)

    def run_as_a_worker_does():
        row = Task.objects.get()
        known = {"id": row.pk, "name": row.name, "payload": row.payload, "queue": row.queue}
        nothing = dict.fromkeys(Claimed._fields, 0)
        claimed = Claimed(**{**nothing, **known, "step": None})
        request, definition = request_of(claimed), registry.find(row.name)
        assert definition is not None
        gate = types.SimpleNamespace(arm=lambda: None, disarm=lambda: None)
        end = types.SimpleNamespace(begin=nullcontext, finish=lambda *_: True)
        Executor("default", gate, end).run(definition, claimed, request)
        events.task_succeeded(row.pk, row.name, 0.1, request)

    contextvars.copy_context().run(run_as_a_worker_does)
    assert page.spans == [("runs_page.charge", trace)]
    assert page.trace.get() is None


def test_the_log_thread_of_the_page_on_workers_starts_in_each_process(no_receivers):
    page = types.ModuleType("workers_page")
    ((_, code),) = [
        step for step in steps((ROOT / "docs/how-to/workers.md").read_text()) if step[0] == ""
    ]
    exec(compile(code, "docs/how-to/workers.md", "exec"), vars(page))
    before = page.handler.queue
    for started in (signals.worker_started, signals.keeper_started):
        started.send(None)
        assert page.handler.queue is not before
        before = page.handler.queue


@pytest.mark.django_db
def test_the_schedules_that_the_docs_show_are_right(registered, settings):
    page = types.ModuleType("shop.tasks")
    sys.modules["shop.tasks"] = page
    shared_task(name="shop.tasks.import_orders")(lambda customer: None)
    for _, code in steps((ROOT / "docs/how-to/schedules.md").read_text()):
        if "\n" in code:
            exec(compile(code, "docs/how-to/schedules.md", "exec"), vars(page))
    del sys.modules["shop.tasks"]
    shared_task(name="shop.tasks.clean_up")(lambda days: None)
    shared_task(name="shop.tasks.count_stock")(lambda warehouse: None)
    settings.TASKQ = page.TASKQ
    assert entries.problems() == []
    names = {"shop.tasks.report", "shop.tasks.poll", "weekly", "hourly, north"}
    assert entries.names() == names


class Printer:
    def __init__(self):
        self.printed = []
        self.is_broken = False

    def print(self, line):
        if self.is_broken:
            raise ConnectionError(line)
        self.printed.append(line)


@pytest.mark.django_db
def test_the_testing_page_runs(registered):
    page = types.ModuleType("testing_page")
    page.printer = Printer()
    blocks = [
        code for _, code in steps((ROOT / "docs/how-to/testing.md").read_text()) if "\n" in code
    ]
    assert len(blocks) >= 4
    for code in blocks:
        exec(compile(code, "docs/how-to/testing.md", "exec"), vars(page))
    assert page.printer.printed[-3:] == ["receipt of 43", "report", "report"]


@pytest.mark.django_db
def test_the_page_of_unique_tasks_runs(registered):
    for number, (_, code) in enumerate(steps((ROOT / "docs/how-to/unique.md").read_text())):
        page = types.ModuleType(f"page{number}")
        sys.modules[page.__name__] = page
        exec(compile(code, "docs/how-to/unique.md", "exec"), vars(page))
        del sys.modules[page.__name__]
    names = sorted(Task.objects.values_list("name", flat=True))
    assert names == ["page0.refresh_totals"] * 2 + ["page1.charge"]


TROUBLESHOOTING = ROOT / "docs/explanation/troubleshooting.md"


def test_the_commands_of_the_page_on_troubleshooting_can_be_read():
    commands = re.findall(
        r"manage\.py (.*)",
        "\n".join(line for file, line in steps(TROUBLESHOOTING.read_text()) if "\n" not in line),
    )
    assert len(commands) >= 5
    for command in commands:
        name, *arguments = shlex.split(command)
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        parser.parse_args(arguments)


def test_the_events_of_the_page_on_troubleshooting_are_in_the_code():
    code = "".join(
        path.read_text() for room in ("taskq", "pool") for path in (ROOT / room).rglob("*.py")
    )
    kinds = "task|tasks|worker|workers|lease|database|pool|child|schedule"
    named = set(re.findall(rf"`((?:{kinds})\.(?!py`)[a-z_]+)`", TROUBLESHOOTING.read_text()))
    assert len(named) >= 20
    assert not [name for name in named if f'"{name}"' not in code]


@pytest.mark.postgresql
@pytest.mark.django_db
def test_the_query_of_the_page_on_troubleshooting_runs():
    (query,) = re.findall(r"^```sql\n(.*?)^```$", TROUBLESHOOTING.read_text(), re.M | re.S)
    with connection.cursor() as cursor:
        cursor.execute(query)
        assert [column.name for column in cursor.description][:3] == [
            "pid",
            "application_name",
            "state",
        ]


def test_the_comparison_shows_figures_of_the_bench_alone():
    speed = section("docs/explanation/comparison.md", "Speed")
    measured = (ROOT / "docs/explanation/performance.md").read_text()
    figures = re.findall(r"\d[\d,.]*\d", "".join(re.findall(r"^\|.*\d ms \|$", speed, re.M)))
    assert len(figures) >= 20
    assert not [each for each in figures if not re.search(rf"(?<![\d.]){each}(?![\d.])", measured)]


def test_an_explanation_can_be_read_at_one_sitting():
    for page in (ROOT / "docs/explanation").glob("*.md"):
        if page == TROUBLESHOOTING:  # which is looked into, by its headings
            continue
        made = re.compile(r"<!-- bench: begin -->.*<!-- bench: end -->", re.DOTALL)
        assert len(made.sub("", page.read_text()).split()) <= 1500, page.name


def test_every_test_that_the_docs_name_is_there():
    written = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    for page in (ROOT / "docs").rglob("*.md"):
        for name in re.findall(r"`(test_\w+)`", page.read_text()):
            assert f"def {name}(" in written, f"{page.name} names {name}"


def test_every_file_that_a_page_names_is_there():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for name in re.findall(r"`((?:taskq|pool|stress|tests)/[\w/]+\.\w+)`", page.read_text()):
            assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_every_file_that_a_page_links_to_is_there():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_heading_that_a_page_links_to_is_there():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for file, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text()):
            if "://" in file:
                continue
            text = (page.parent / file if file else page).read_text()
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
            assert anchor in anchors, f"{page.name} links to {file}#{anchor}"


def test_every_row_of_a_table_has_the_cells_of_its_head():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        cells = 0
        for number, line in enumerate(page.read_text().splitlines(), 1):
            if not line.startswith("|"):
                cells = 0
                continue
            found = len(re.findall(r"(?<!\\)\|", line)) - 1
            cells = cells or found
            assert found == cells, f"{page.name}:{number}"
