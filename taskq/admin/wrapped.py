"""Values as Python writes them, broken into lines, in a time that grows with their size alone.

``pprint`` writes what is nested again for each level around it: deep arguments take it minutes.
"""

from __future__ import annotations

#: Characters of a line, as long as values can be broken there.
WIDTH = 100
#: Spaces before a line, at most.
_INDENT = 40

#: How deep it is nested, and the text.
_Line = tuple[int, str]


def wrapped(value: object) -> str:
    """Raises RecursionError for what is nested deeper than Python's stack."""
    return "\n".join(" " * min(depth, _INDENT) + text for depth, text in _lines(value, 0))


def _lines(value: object, depth: int) -> list[_Line]:
    """A single line where that is short enough, or nothing is to be broken."""
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
