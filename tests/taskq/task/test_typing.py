"""An editor that knows the types completes ``.delay(`` and ``.enqueue(`` with the function's
parameters: what mypy and pyright say of a user's code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

# It needs no database: once is enough.
pytestmark = pytest.mark.postgresql

ROOT = Path(__file__).resolve().parents[3]

CELERY = """
from taskq.celery import Task, group, shared_task

@shared_task
def plain(order: int, note: str = "") -> bool:
    return True

@shared_task()
def empty(order: int, note: str = "") -> bool:
    return True

@shared_task(queue="mail", max_retries=None, autoretry_for=(OSError,))
def given(order: int, note: str = "") -> bool:
    return True

@shared_task(bind=True, name="shop.bound")
def bound(self: Task[..., bool], order: int, note: str = "") -> bool:
    reveal_type(self.request.retries)  # request
    raise self.retry(countdown=5)

@shared_task(queue="mail")
async def later(order: int) -> bool:
    return True

reveal_type(plain.delay)  # plain
reveal_type(empty.delay)  # empty
reveal_type(given.delay)  # given
reveal_type(bound.delay)  # bound
reveal_type(later.delay)  # later
reveal_type(plain.delay_on_commit)  # on_commit
reveal_type(plain(1))  # call
reveal_type(bound(1))  # bound_call
started = reveal_type(later(1))  # coroutine
reveal_type(plain.s(1).set(queue="q").delay().id)  # id
reveal_type(group(plain.s(1)).delay())  # group

plain.delay(1, note="a")
bound.delay(1, "a")
plain.apply_async((1,), {"note": "a"}, countdown=1.5).revoke()
plain.delay_many([(1,), {"order": 2}], queue="mail")

plain.delay("x")  # error: wrong type
plain.delay(1, not_there=2)  # error: unknown keyword
given.delay()  # error: missing argument
given.delay(1, "a", 3)  # error: one too many
bound.delay("x")  # error: wrong type of a bound task
plain("x")  # error: wrong type in a call
plain.apply_async((1,), countdown="soon")  # error: wrong option
"""

DJANGO = """
import datetime
from typing import Any

from django.tasks import TaskContext
from taskq.django import task

@task
def plain(order: int, note: str = "") -> bool:
    return True

@task()
def empty(order: int, note: str = "") -> bool:
    return True

@task(queue_name="mail", max_retries=None, autoretry_for=(OSError,))
def given(order: int, note: str = "") -> bool:
    return True

@task(takes_context=True, atomic=True)
def bound(context: TaskContext[..., Any], order: int, note: str = "") -> bool:
    reveal_type(context.attempt)  # request
    return True

@task
async def later(order: int) -> bool:
    return True

reveal_type(plain.enqueue)  # plain
reveal_type(empty.enqueue)  # empty
reveal_type(given.enqueue)  # given
reveal_type(bound.enqueue)  # bound
reveal_type(later.enqueue)  # later
reveal_type(given.using(priority=3, run_after=datetime.datetime.now()).enqueue)  # using
reveal_type(plain.call(1))  # call
reveal_type(plain.enqueue(1).return_value)  # value
reveal_type(given.enqueue_many([(1,), {"order": 2}])[0].return_value)  # many

plain.enqueue(1, note="a")
bound.enqueue(1, "a")
plain.using(queue_name="mail").enqueue_many([(1,)])

plain.enqueue("x")  # error: wrong type
plain.enqueue(1, not_there=2)  # error: unknown keyword
given.enqueue()  # error: missing argument
given.enqueue(1, "a", 3)  # error: one too many
bound.enqueue("x")  # error: wrong type with a context
plain.using(priority="high")  # error: wrong option
"""

TESTING = """
from taskq.celery import shared_task
from taskq.testing import advance, assert_enqueued, captured_tasks, run_all

@shared_task
def plain(order: int) -> bool:
    return True

with captured_tasks(execute=True) as tasks:
    plain.delay(1)
reveal_type(tasks[0].kwargs)  # kwargs
reveal_type(run_all(forward=None).failed[0].error)  # error
reveal_type(assert_enqueued(plain, args=[1])[0].due)  # due
advance(5)

advance("5")  # error: wrong time
run_all(True)  # error: by name only
"""

#: As mypy and pyright write them.
PARAMETERS = r'\(order: int, note: str =( ""|\.*)\) -> '

MODULES = {"celery": CELERY, "django": DJANGO, "testing": TESTING}


class Notes:
    """What a checker says of a module, by line."""

    def __init__(self, module: str) -> None:
        self.lines = module.splitlines()
        self.said: dict[int, str] = defaultdict(str)
        self.errors: set[int] = set()

    def add(self, line: int, text: str, *, error: bool) -> None:
        self.said[line] += text.replace("builtins.", "") + "\n"
        if error:
            self.errors.add(line)

    def at(self, comment: str) -> str:
        (line,) = [n for n, text in enumerate(self.lines, 1) if text.endswith(f"# {comment}")]
        return self.said[line]

    @property
    def wanted_errors(self) -> set[int]:
        return {n for n, text in enumerate(self.lines, 1) if "# error: " in text}


def by_mypy(home: Path) -> dict[str, Notes]:
    pytest.importorskip("mypy")
    (home / "mypy.ini").write_text("[mypy]\nstrict = True\nfollow_imports = silent\n")
    answer = run(home, "mypy", "--config-file", "mypy.ini", *(f"{name}.py" for name in _files()))
    notes = {name: Notes(module) for name, module in MODULES.items()}
    for line in answer.splitlines():
        if match := re.match(r"user_(\w+)\.py:(\d+): (error|note): (.*)", line):
            notes[match[1]].add(int(match[2]), match[4], error=match[3] == "error")
    assert notes["celery"].said, answer
    return notes


def by_pyright(home: Path) -> dict[str, Notes]:
    pytest.importorskip("pyright")
    settings = {"typeCheckingMode": "standard", "extraPaths": [str(ROOT)]}
    (home / "pyrightconfig.json").write_text(json.dumps(settings))
    options = ("--outputjson", "--pythonpath", sys.executable)
    answer = run(home, "pyright", *options, *(f"{name}.py" for name in _files()))
    notes = {name: Notes(module) for name, module in MODULES.items()}
    for each in json.loads(answer)["generalDiagnostics"]:
        name = Path(each["file"]).stem.removeprefix("user_")
        line = each["range"]["start"]["line"] + 1
        notes[name].add(line, each["message"], error=each["severity"] == "error")
    assert notes["celery"].said, answer
    return notes


def _files() -> list[str]:
    return [f"user_{name}" for name in MODULES]


def run(home: Path, checker: str, *options: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", checker, *options],
        cwd=home,
        env={**os.environ, "MYPYPATH": str(ROOT), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
    )
    assert answer.stdout, answer.stderr
    return answer.stdout


@pytest.fixture(scope="module", params=[by_mypy, by_pyright], ids=["mypy", "pyright"])
def notes(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("typing")
    for name, module in MODULES.items():
        (home / f"user_{name}.py").write_text(module)
    return request.param(home)


@pytest.mark.parametrize("module", ["celery", "django"])
@pytest.mark.parametrize("task", ["plain", "empty", "given", "bound"])
def test_sending_keeps_the_parameters_of_the_function(notes, module, task):
    assert re.search(PARAMETERS, notes[module].at(task))


def test_other_ways_to_send_keep_them_too(notes):
    for said in (notes["celery"].at("on_commit"), notes["django"].at("using")):
        assert re.search(PARAMETERS, said)


@pytest.mark.parametrize("module", ["celery", "django"])
def test_sending_an_async_task_keeps_its_parameters(notes, module):
    assert "(order: int) -> " in notes[module].at("later")


@pytest.mark.parametrize("task", ["plain", "later"])
def test_sending_returns_a_result(notes, task):
    assert re.search("AsyncResult.*EagerResult", notes["celery"].at(task))
    assert "TaskResult[" in notes["django"].at(task)


def test_calling_a_task_returns_what_the_function_does(notes):
    for said in ("call", "bound_call"):
        assert 'is "bool"' in notes["celery"].at(said)
    assert re.search("Coroutine.*bool", notes["celery"].at("coroutine"))
    assert 'is "bool"' in notes["django"].at("call")


def test_a_result_has_the_type_of_what_the_function_returns(notes):
    assert 'is "bool"' in notes["django"].at("value")
    assert 'is "bool"' in notes["django"].at("many")


def test_what_a_task_knows_is_typed(notes):
    assert 'is "int"' in notes["celery"].at("request")
    assert re.search(r'is "(taskq\.task\.ids\.)?TaskId"', notes["celery"].at("id"))
    assert "GroupResult" in notes["celery"].at("group")
    assert 'is "int"' in notes["django"].at("request")


def test_the_helpers_of_tests_are_typed(notes):
    assert re.search(r'is "dict\[str, Any\]"', notes["testing"].at("kwargs"))
    assert re.search(r"BaseException \| None", notes["testing"].at("error"))
    assert "datetime" in notes["testing"].at("due")


@pytest.mark.parametrize("module", MODULES)
def test_what_is_wrong_is_an_error_and_what_is_right_is_none(notes, module):
    found = notes[module]
    assert found.errors == found.wanted_errors, dict(found.said)


@pytest.mark.parametrize("package", ["taskq", "pool", "stress"])
def test_the_package_says_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").exists()
