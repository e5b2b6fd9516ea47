"""Text of others in a log and on a terminal."""

from __future__ import annotations

import logging

import pytest

from taskq import events, printable


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("price is 5 €, ☃", "price is 5 €, ☃"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x00\x7f\x85\x9b", r"\x00\x7f\x85\x9b"),
        ("a\u2028b\u202ec\u2069", r"a\u2028b\u202ec\u2069"),
        ("half \ud800", r"half \ud800"),
    ],
)
def test_control_characters_are_escaped(text, line):
    assert printable.in_a_line(text) == line


def test_a_text_of_lines_keeps_its_lines_and_tabs():
    assert printable.in_lines("a\n\tb\r\n\x1b[2J") == "a\n\tb\\r\n\\x1b[2J"


def test_a_name_or_an_error_forges_no_line_of_the_log(caplog):
    caplog.set_level(logging.DEBUG, "taskq")
    name, error = "shop.evil\nERROR forged", "Boom: \x1b]0;title\x07\nWARNING forged"
    events.task_unknown(1, name, 2.0)
    events.task_lost(1, name, "w\n1", "signal\n9", 1, failed=False)
    events.task_failed(1, name, error, 'Traceback:\n  File "x.py"\n\x1b[2J', None, None)
    for record in caplog.records:
        message = record.getMessage()
        assert "\x1b" not in message
        assert "\x07" not in message
        assert "forged" not in "".join(message.split("\n")[1:])
    *_, failed = caplog.records
    assert failed.getMessage().split("\n")[1:] == ["Traceback:", '  File "x.py"', r"\x1b[2J"]
    assert failed.fields["error"] == error  # structured logs have it as it is
