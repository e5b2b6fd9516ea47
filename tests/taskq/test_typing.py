"""An editor that knows the types completes ``.delay(`` with the function's parameters."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).resolve().parents[2]

MODULE = """
from taskq.celery import SharedTask, shared_task

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
def bound(self: SharedTask[..., bool], order: int, note: str = "") -> bool:
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

plain.delay(1, note="a")
bound.delay(1, "a")
plain.apply_async((1,), {"note": "a"}, countdown=1.5).revoke()

plain.delay("x")  # error: wrong type
plain.delay(1, not_there=2)  # error: unknown keyword
given.delay()  # error: missing argument
given.delay(1, "a", 3)  # error: one too many
bound.delay("x")  # error: wrong type of a bound task
plain("x")  # error: wrong type in a call
plain.apply_async((1,), countdown="soon")  # error: wrong option
"""


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """What mypy says of the module: line -> text."""
    home = tmp_path_factory.mktemp("typing")
    (home / "user.py").write_text(MODULE)
    (home / "mypy.ini").write_text("[mypy]\nstrict = True\nfollow_imports = silent\n")
    answer = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "user.py"],
        cwd=home,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    found: dict[int, str] = {}
    for line in answer.stdout.splitlines():
        if match := re.match(r"user\.py:(\d+): (.*)", line):
            found[int(match[1])] = found.get(int(match[1]), "") + match[2] + "\n"
    assert found, answer.stdout + answer.stderr
    return found


def note_at(notes, comment):
    (line,) = [n for n, text in enumerate(MODULE.splitlines(), 1) if text.endswith(f"# {comment}")]
    return notes.get(line, "nothing").replace("builtins.", "")


@pytest.mark.parametrize("task", ["plain", "empty", "given", "bound", "on_commit"])
def test_delay_keeps_the_parameters_of_the_function(notes, task):
    assert re.search(r'"def \(order: int, note: str =\.*\) -> ', note_at(notes, task))


def test_delay_of_an_async_task_keeps_its_parameters(notes):
    assert '"def (order: int) -> ' in note_at(notes, "later")


@pytest.mark.parametrize("task", ["plain", "later"])
def test_delay_returns_a_result(notes, task):
    assert re.search(
        r"-> .*AsyncResult \| .*EagerResult|Union\[.*AsyncResult", note_at(notes, task)
    )


def test_calling_a_task_returns_what_the_function_does(notes):
    assert 'is "bool"' in note_at(notes, "call")
    assert 'is "bool"' in note_at(notes, "bound_call")
    assert re.search("Coroutine.*bool", note_at(notes, "coroutine"))


def test_what_a_task_knows_is_typed(notes):
    assert 'is "int"' in note_at(notes, "request")
    assert 'is "uuid.UUID"' in note_at(notes, "id")


ERRORS = re.findall(r"# error: (.*)", MODULE)


@pytest.mark.parametrize("comment", ERRORS)
def test_wrong_argument_is_an_error(notes, comment):
    assert note_at(notes, f"error: {comment}").startswith("error: ")


def test_right_use_is_no_error(notes):
    wrong = [n for n, text in enumerate(MODULE.splitlines(), 1) if "# error: " in text]
    assert [line for line, text in notes.items() if "error: " in text] == wrong
