"""Values as Python writes them, broken into lines. The time grows only with their size.

``pprint`` formats a nested value again for each level around it, which takes minutes for deep ones.
"""

from __future__ import annotations

#: Characters of a line. A value that cannot be broken may be longer.
WIDTH = 100
#: The most spaces before a line.
_INDENT = 40

#: The depth of nesting, and the text.
_Line = tuple[int, str]


def wrapped(value: object) -> str:
    """Raises RecursionError for a value that is nested deeper than Python's stack."""
    return "\n".join(" " * min(depth, _INDENT) + text for depth, text in _lines(value, 0))


def _lines(value: object, depth: int) -> list[_Line]:
    """A single line if it is short enough or cannot be broken."""
    if isinstance(value, dict):
        opened, closed = "{}"
        parts = [(f"{key!r}: ", _lines(each, depth + 1)) for key, each in value.items()]
    elif isinstance(value, list):
        opened, closed = "[]"
        parts = [("", _lines(each, depth + 1)) for each in value]
    else:
        return [(depth, repr(value))]
    if all(len(lines) == 1 for _label, lines in parts):
        inner = ", ".join(f"{label}{text}" for label, [(_depth, text)] in parts)
        if len(inner) + 2 <= WIDTH:
            return [(depth, f"{opened}{inner}{closed}")]
    broken = [(depth, opened)]
    for label, [(_depth, first), *more] in parts:
        broken += [(depth + 1, f"{label}{first}"), *more]
        broken[-1] = (broken[-1][0], f"{broken[-1][1]},")
    return [*broken, (depth, closed)]
