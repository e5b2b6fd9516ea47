"""A small chart as SVG, made here: the browser needs no script for it."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

#: The coordinates of the picture. A style sheet gives it its size.
WIDTH, HEIGHT = 120, 28


def sparkline(values: Sequence[float]) -> SafeString:
    """A line with the area below it, from 0 to the largest value. The number beside it says what
    it shows, so a screen reader passes over it. Empty if there is nothing to see."""
    top = max(values, default=0.0)
    if len(values) < 2 or not top:
        return SafeString("")
    step = WIDTH / (len(values) - 1)
    points = " ".join(
        f"{place * step:.1f},{HEIGHT - 1 - (HEIGHT - 2) * value / top:.1f}"
        for place, value in enumerate(values)
    )
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true"'
        ' focusable="false"><polygon points="0,{} {} {},{}"/><polyline points="{}"/></svg>',
        *(WIDTH, HEIGHT, HEIGHT, points, WIDTH, HEIGHT, points),
    )
