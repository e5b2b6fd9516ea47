"""Figures as SVG text, all in one style."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text: small, and can be searched
matplotlib.rcParams["svg.hashsalt"] = "taskq"  # the same data, the same file

COLORS = ("#1f6f8b", "#d1495b", "#66a182", "#edae49", "#6c4a8a", "#444444")

Draw = Callable[[Axes], object]


def svg(
    *draw: Draw, size: tuple[float, float] = (8, 4.2), heights: Sequence[float] | None = None
) -> str:
    """One figure as an <svg> element, with a panel for each function that draws on one.

    size: width and height in inches. heights: the panels stand one below the other on one
    x-axis and share the height in these proportions; side by side by default.
    """
    figure = Figure(figsize=size, layout="constrained")
    if heights is None:
        axes = figure.subplots(1, len(draw), squeeze=False)
    else:
        axes = figure.subplots(len(draw), sharex=True, squeeze=False, height_ratios=heights)
    for one, panel in zip(draw, axes.flat, strict=True):
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        one(panel)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
