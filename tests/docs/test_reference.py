"""The reference leaves nothing out, and says what the code says."""

from __future__ import annotations

import ast
import inspect
import re
import types
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import django
import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal
from prometheus_client.registry import Collector

from pool import Cause
from taskq import celery, conf, exceptions, models, signals, testing
from taskq.management.commands.taskq_status import as_dict
from taskq.overview import Overview, QueueLine, WorkerLine
from taskq.statistics import Figures
from taskq.store import grants
from taskq.task.options import TaskOptions
from taskq.why import Code
from tests.docs import metrics

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


def section(name: str, title: str) -> str:
    """What a page says under this heading, up to the next one that is as high."""
    found = re.search(rf"^(#+) {re.escape(title)}\n", page(name), re.MULTILINE)
    assert found, f"{name} has no heading {title}"
    return re.split(rf"^#{{1,{len(found[1])}}} ", page(name)[found.end() :], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of all tables, without their heads."""
    found = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]
    return [
        row
        for row, below in zip(cells, [*cells[1:], []], strict=True)
        if not row[0].startswith("---") and not (below and below[0].startswith("---"))
    ]


def named(cell: str) -> list[str]:
    """What a cell has in code."""
    return re.findall(r"`([^`]+)`", cell)


def value(cell: str) -> object:
    return ast.literal_eval(cell.strip("`"))


@pytest.mark.parametrize("key", conf.KEYS)
def test_a_setting_has_its_default_its_unit_and_the_reason(key):
    default = getattr(conf.Settings(), key.lower())
    (row,) = [row for row in rows(page("settings.md")) if named(row[0]) == [key]]
    assert value(row[1]) == default
    assert row[2] or not isinstance(default, (int, float)) or isinstance(default, bool)
    text = section("settings.md", f"`{key}`")
    said = re.search(r"\*\*Default: (`[^`]*`|\d+)[.,]?\*\*(.*)", text, re.DOTALL)
    assert said, f"{key} has no default"
    assert value(said[1]) == default
    assert len(said[2].split()) > 2 or default in ((), {})


def test_the_settings_page_has_no_setting_that_there_is_not():
    keys = [key for row in rows(page("settings.md")) for key in named(row[0])]
    assert sorted(keys) == sorted(conf.KEYS)


COMMANDS = sorted(name for name, app in get_commands().items() if app == "taskq")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_all_its_options(name):
    parser = load_command_class("taskq", name).create_parser("manage.py", name)
    given = {option for action in parser._actions for option in action.option_strings}
    common = BaseCommand().create_parser("manage.py", "none")
    given -= {option for action in common._actions for option in action.option_strings}
    text = section("commands.md", f"`{name}`")
    if name == "taskq":
        text = section("commands.md", "`taskq_pool`")
    for option in given - {"--database"}:  # said once, of all
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", text), option


def test_every_command_has_an_exit_code():
    said = {name for row in rows(section("commands.md", "Exit codes")) for name in named(row[0])}
    assert said == set(COMMANDS)


def test_every_reason_why_a_task_does_not_run_is_listed():
    said = [code for row in rows(section("commands.md", "`taskq_why`")) for code in named(row[0])]
    assert sorted(said) == sorted(Code)


def test_every_check_is_listed():
    code = "".join(path.read_text() for path in (ROOT / "taskq").rglob("*.py"))
    said = [name for row in rows(page("checks.md")) for name in named(row[0])]
    assert said == sorted(set(re.findall(r"taskq\.[EW]\d+", code)))


def events() -> Iterator[tuple[str, str | None]]:
    """The events of the log, each with the level that its call names, if it names one."""
    for path in [ROOT / "taskq/events.py", *(ROOT / "pool").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name("_say"), args=[level, ast.Constant(str(name)), *_]):
                    yield name, level.attr if isinstance(level, ast.Attribute) else None
                case ast.Dict(keys=[ast.Constant("event"), *_], values=[ast.Constant(name), *_]):
                    yield name, None


def test_every_event_of_the_log_is_listed_with_its_level():
    found = list(events())
    assert len(found) > 40
    said = {named(row[0])[0]: row[1] for row in rows(page("log-events.md"))}
    assert sorted(said) == sorted({name for name, _ in found})
    for name, level in found:
        assert level is None or level in said[name].split(", "), name


def test_every_option_of_a_task_is_listed_with_its_default():
    said = {
        named(row[0])[0]: row[1] for row in rows(section("task-options.md", "On the decorator"))
    }
    options = {each.name for each in fields(TaskOptions)}
    assert said.keys() == options | {"name"}
    for name in options:
        default = getattr(TaskOptions(), name)
        assert value(said[name]) == default, name


def test_every_option_of_ours_on_djangos_decorator_is_listed():
    if django.VERSION < (6, 0):
        pytest.importorskip("django_tasks", reason="the backport is not installed")
    from taskq.django import OPTIONS

    assert set(named(section("task-options.md", "On Django's decorator"))) >= OPTIONS


def test_every_option_of_a_call_is_listed():
    said = {name for row in rows(section("task-options.md", "On a call")) for name in named(row[0])}
    taken = inspect.signature(celery.Task.apply_async).parameters
    assert said == taken.keys() - {"self", "ignored"}


def test_every_signal_is_listed():
    said = {name for row in rows(page("signals.md")) for name in named(row[0])}
    assert {name for name, each in vars(signals).items() if isinstance(each, Signal)} <= said


def test_every_exception_is_listed():
    said = {name for row in rows(page("exceptions.md")) for name in named(row[0])}
    for name, each in vars(exceptions).items():
        if isinstance(each, type) and each.__module__ == exceptions.__name__:
            assert name in said


def test_every_state_is_listed():
    said = [row[0] for row in rows(section("states.md", "The states that you see"))]
    assert said == list(models.ShownState.values)


def test_every_table_and_column_is_listed():
    tables = {named(row[0])[0] for row in rows(section("sql.md", "Tables"))}
    ours = [models.Task, models.Worker, models.Result, models.Schedule]
    ours += [models.FinishedTask, models.IdempotencyKey, models.PausedQueue, models.Loss]
    ours += [models.StackRequest, models.SentWorkflow, models.Edge]
    ours += [models.Rollup, models.RecentRun]
    assert tables == {model._meta.db_table for model in ours}
    listed = [
        name for row in rows(section("sql.md", "Columns of a task")) for name in named(row[0])
    ]
    assert sorted(listed) == sorted(field.column for field in models.Task._meta.fields)


def test_the_grants_are_those_that_a_pool_looks_for():
    text = section("sql.md", "Grants")
    said: dict[str, dict[str, tuple[str, ...]]] = {}
    for verbs, table, role in re.findall(r"GRANT (.+) ON (\w+) TO (\w+);", text):
        said.setdefault(role, {})[table] = tuple(verbs.split(", "))
    assert said == {"pool": grants.POOL, "site": grants.SENDER}


def test_every_key_of_the_status_is_listed():
    seen = Overview(
        [QueueLine("mail")], [WorkerLine("worker 1", "host/1", 1, 1, 0, None, None, 0, "*")], {}
    )
    shown = as_dict(seen, [], {"shop.send": Figures()})
    said = " ".join(cell for row in rows(page("metrics-and-status.md")) for cell in named(row[0]))
    states = {*models.ShownState.values} - {"pending"}  # said as "and so on"
    parts = shown["queues"][0], shown["workers"][0], shown["last_hour"]["shop.send"]
    keys = {*shown, *(key for part in parts for key in part)} - states
    assert not [key for key in keys if not re.search(rf"\b{key}\b", said)]


def families(collector: Collector) -> dict[str, tuple[str, frozenset[str]]]:
    """Each metric: its type and its labels."""
    return {
        metrics.name(each): ("gauge" if each.type == "info" else each.type, metrics.labels(each))
        for each in collector.collect()
    }


def test_every_metric_of_a_pool_is_listed_with_its_type_and_its_labels():
    text = section("metrics-and-status.md", "Metrics of a pool")
    said = {named(row[0])[0]: (row[1], frozenset(named(row[2]))) for row in rows(text)}
    assert said == families(metrics.of_pool())
    for cause in Cause:
        assert f"`{cause.name.lower()}`" in text


@pytest.mark.django_db
def test_every_metric_of_the_view_is_listed_with_its_labels():
    said = {
        named(row[0])[0]: (row[1], frozenset(named(row[2])))
        for row in rows(section("metrics-and-status.md", "In a view of the site"))
    }
    assert said == families(metrics.of_site())


def test_the_glossary_is_short_and_has_each_word_once():
    words = [row[0] for row in rows(page("glossary.md"))]
    assert len(words) == len(set(words)) <= 20


def test_the_api_has_every_public_name():
    said = page("api.md")
    for module in (celery, testing):
        for name in module.__all__:
            kind = getattr(module, name)
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                assert re.search(rf"{module.__name__}\.{name}\b", said), name


@pytest.mark.parametrize(
    "path", sorted((DOCS / "how-to").rglob("*.md")), ids=lambda path: path.stem
)
def test_what_a_page_tells_to_import_is_in_the_reference(path):
    said = "".join(page.read_text() for page in REFERENCE.glob("*.md"))
    code = "".join(re.findall(r"^```python\n(.*?)^```$", path.read_text(), re.M | re.DOTALL))
    for module, names in re.findall(r"^from (taskq[\w.]*) import (\w+(?:, \w+)*)", code, re.M):
        for name in names.split(", "):
            within = module != "taskq" and module in said and re.search(rf"\b{name}\b", said)
            assert within or f"{module}.{name}" in said, f"{module}.{name}"


@pytest.mark.django_db
@pytest.mark.parametrize("path", sorted(REFERENCE.glob("*.md")), ids=lambda path: path.stem)
def test_the_python_of_a_page_runs(path, no_receivers):
    shown = types.ModuleType("shown")
    for code in re.findall(r"^```python\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(code, path.name, "exec"), vars(shown))


@pytest.mark.parametrize(
    "path",
    sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")]),
    ids=lambda path: path.stem,
)
def test_the_rows_of_a_table_are_not_too_long(path):
    made = re.compile(r"<!-- bench: begin -->.*<!-- bench: end -->", re.DOTALL)  # by the bench
    text = made.sub("", path.read_text())
    for number, line in enumerate(text.splitlines(), 1):
        assert not line.startswith("|") or len(line) <= 100, f"{path.name}:{number}"
