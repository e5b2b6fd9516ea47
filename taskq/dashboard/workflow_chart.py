"""The graph of a workflow as SVG, made here: the browser needs no script for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from taskq.models import On
from taskq.workflow.standing import Standing

#: The size of a box and the gaps between boxes, in pixels.
WIDTH, HEIGHT = 184, 54
ACROSS, DOWN = 52, 16
#: What is left free around all of it, for the mark of the focus.
EDGE = 4
#: The most characters of a name in a box.
LETTERS = 25

#: A box and how it is joined: from, to, and for which end of the first the second waits.
Link = tuple[int, int, On]


@dataclass(frozen=True)
class Box:
    """A node as it is drawn.

    Attributes:
        layer: How many layers are before it.
        title: The first line.
        text: The second line.
        said: All of it, with full names, for a pointer that rests on it.
        url: Where it leads.
        counts: How many of its steps stand how. The first one gives the color.
    """

    layer: int
    title: str
    text: str
    said: str
    url: str
    counts: Sequence[tuple[Standing, int]]


def chart(boxes: Sequence[Box], links: Sequence[Link]) -> SafeString:
    """The graph from left to right, a column for each layer. Each box is a link."""
    places = _places(boxes, links)
    width = max(x for x, _ in places) + WIDTH + EDGE
    height = max(y for _, y in places) + HEIGHT + EDGE
    lines = format_html_join(
        "",
        '<path class="link {}" d="{}"/>',
        ((_kind(boxes[part], on), _line(places[part], places[step])) for part, step, on in links),
    )
    drawn = (_box(number, box, *places[number]) for number, box in enumerate(boxes))
    return format_html(
        '<svg class="graph" role="group" aria-labelledby="graph" width="{}" height="{}"'
        ' viewBox="0 0 {} {}">{}{}</svg>',
        *(
            width,
            height,
            width,
            height,
            lines,
            format_html_join("", "{}", ((each,) for each in drawn)),
        ),
    )


def _places(boxes: Sequence[Box], links: Sequence[Link]) -> list[tuple[int, int]]:
    """Where the corner of each box is. In its column a box is near to what it waits for."""
    columns = [
        list(found)
        for _, found in groupby(range(len(boxes)), key=lambda number: boxes[number].layer)
    ]
    tallest = max(map(len, columns))
    before: dict[int, list[int]] = {}
    for part, step, _on in links:
        before.setdefault(step, []).append(part)
    middle: dict[int, float] = {}
    found: dict[int, tuple[int, int]] = {}
    for place, column in enumerate(columns):

        def wanted(number: int) -> float:
            parts = [middle[part] for part in before.get(number, []) if part in middle]
            return sum(parts) / len(parts) if parts else 0.0

        free = (tallest - len(column)) * (HEIGHT + DOWN) // 2
        for row, number in enumerate(sorted(column, key=wanted)):
            y = EDGE + free + row * (HEIGHT + DOWN)
            found[number] = EDGE + place * (WIDTH + ACROSS), y
            middle[number] = y
    return [found[number] for number in range(len(boxes))]


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    """A curve from the right of one box to the left of another, with the head of an arrow."""
    x, y = start[0] + WIDTH, start[1] + HEIGHT // 2
    to_x, to_y = end[0], end[1] + HEIGHT // 2
    bend = max((to_x - x) // 2, 12)
    curve = f"M{x},{y} C{x + bend},{y} {to_x - bend},{to_y} {to_x},{to_y}"
    return f"{curve} M{to_x - 6},{to_y - 4} L{to_x},{to_y} L{to_x - 6},{to_y + 4}"


def _kind(part: Box, on: On) -> str:
    """How a line looks: whether it waits for a failure, and whether the part has ended."""
    over = all(standing in (Standing.DONE, Standing.GONE) for standing, _ in part.counts)
    return f"{on.name.lower()}{' over' if over else ''}"


def _box(number: int, box: Box, x: int, y: int) -> SafeString:
    whole = sum(count for _, count in box.counts)
    bars, at = [], 0.0
    for standing, count in sorted(box.counts, key=lambda each: _ORDER.index(each[0])):
        length = count / whole * (WIDTH - 24)
        bars.append((standing.value, f"{x + 12 + at:.1f}", y + HEIGHT - 9, f"{length:.1f}"))
        at += length
    return format_html(
        '<a href="{}" id="node-{}" class="{}"><title>{}</title>'
        '<rect class="box" x="{}" y="{}" width="{}" height="{}" rx="8"/>{}'
        '<text x="{}" y="{}">{}</text><text class="small" x="{}" y="{}">{}</text></a>',
        *(box.url, number, box.counts[0][0].value, box.said),
        *(x, y, WIDTH, HEIGHT),
        # One bar would say what the color says.
        format_html_join(
            "",
            '<rect class="bar {}" x="{}" y="{}" width="{}" height="4"/>',
            bars if whole > 1 else (),
        ),
        *(x + 12, y + 20, _short(box.title), x + 12, y + 37, _short(box.text)),
    )


#: From left to right in a bar: what is done, and then what is left.
_ORDER = (
    *(Standing.DONE, Standing.GONE, Standing.CANCELLED, Standing.FAILED),
    *(Standing.RUNNING, Standing.READY, Standing.BLOCKED),
)


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
