"""Text from outside, made safe for a terminal, a log and a page.

Names, arguments and errors come from rows and from exceptions. On a terminal their control
characters could move the cursor, change colors or hide text. In a log a line break could forge a
line.
"""

from __future__ import annotations

import re

#: Control characters (C0, DEL, C1), Unicode's line ends and direction marks, and halves of
#: surrogate pairs, which no encoding takes.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_A_LINE = re.compile(f"[{_CONTROLS}]")
_IN_LINES = re.compile(f"(?![\n\t])[{_CONTROLS}]")


def in_a_line(text: str) -> str:
    """The text as one line: unprintable characters are escaped as in Python: ``\\x1b``, ``\\n``."""
    return text if text.isprintable() else _IN_A_LINE.sub(_escaped, text)


def in_lines(text: str) -> str:
    """The same for a text that may have lines and tabs, such as a traceback."""
    return text if text.isprintable() else _IN_LINES.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
