"""Tracebacks: the frames of libraries are folded, and the place is the last frame of the site."""

from __future__ import annotations

import json
import sys
import sysconfig

import pytest

from taskq import error_text, tracebacks
from taskq.tracebacks import Part

ELSEWHERE = """Traceback (most recent call last):
  File "/opt/venv/lib/python3.12/site-packages/taskq/worker/executor.py", line 120, in run
    value = self._call(definition, request, args, kwargs)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/opt/venv/lib/python3.12/site-packages/taskq/task/calling.py", line 40, in call
    return function(*args)
  File "/srv/code/shop/billing/tasks.py", line 12, in charge
    pay(card)
  [Previous line repeated 2 more times]
  File "/usr/lib/python3.12/json/decoder.py", line 337, in decode
    obj, end = self.raw_decode(s)
json.decoder.JSONDecodeError: Expecting value: line 1

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/code/shop/billing/tasks.py", line 14, in charge
    raise Declined from None
shop.Declined: no
more of it"""


def test_frames_of_libraries_are_folded_and_all_lines_are_there():
    parts = tracebacks.parts(ELSEWHERE)
    assert [part.folded for part in parts] == [0, 2, 0, 1, 0]
    assert parts[0] == Part("Traceback (most recent call last):")
    assert parts[1].text.count("File ") == 2
    assert parts[2].text.endswith("  [Previous line repeated 2 more times]")
    assert parts[4].text.startswith("json.decoder.JSONDecodeError")
    assert "\n".join(part.text for part in parts) == ELSEWHERE


def test_the_place_is_the_last_frame_of_the_site():
    assert tracebacks.place(ELSEWHERE) == "shop/billing/tasks.py:charge"
    first = ELSEWHERE.partition("\n\nDuring")[0]
    assert tracebacks.place(first) == "shop/billing/tasks.py:charge"
    assert tracebacks.place("") == ""
    library = first.replace("/srv/code", "/opt/venv/lib/python3.12/site-packages")
    assert tracebacks.place(library) == "python3.12/json/decoder.py:decode"


@pytest.mark.parametrize("text", ["", "\n", "no traceback", "  | File in a group"])
def test_what_is_no_traceback_is_shown_as_it_is(text):
    assert [part.folded for part in tracebacks.parts(text)] == [0]


def test_a_traceback_of_this_process():
    try:
        json.loads("{")
    except ValueError as error:
        text = error_text.traceback(error)
    parts = tracebacks.parts(text)
    assert [bool(part.folded) for part in parts] == [False, True, False]
    assert "test_a_traceback_of_this_process" in parts[0].text
    here = "tests/taskq/words/test_tracebacks.py:test_a_traceback_of_this_process"
    assert tracebacks.place(text) == here


def test_whose_a_file_is():
    assert tracebacks.is_library(error_text.__file__)
    assert tracebacks.is_library(json.__file__)
    assert tracebacks.is_library(f"{sysconfig.get_path('purelib')}/x.py")
    assert tracebacks.is_library("<frozen importlib._bootstrap>")
    assert not tracebacks.is_library(__file__)
    assert not tracebacks.is_library("/srv/taskq/shop/tasks.py")
    assert sys.path
