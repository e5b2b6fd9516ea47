"""The two large charts, as numbers for uPlot in the browser."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from taskq.dashboard.queries import Series
from taskq.dashboard.window import Scope
from taskq.task.measures import End

#: The outcomes, in the order in which they are stacked.
STACKED = (End.DONE, End.RETRIED, End.FAILED, End.LOST, End.CANCELLED)
#: The percentiles that are drawn.
SHARES = (50, 95, 99)


def charts(series: Series, scope: Scope) -> dict[str, Any]:
    """Both charts.

    Returns:
        ``at``, the beginnings of the steps in seconds since 1970; ``every``, the seconds of a step;
        ``zone``, the time zone in which times are shown;
        ``ends``, the runs of each outcome; ``times``, the percentiles of wait and run time in
        seconds, None where nothing ran.
    """
    return {
        "at": [at.timestamp() for at, _figures in series],
        "every": int(scope.window.every),
        "zone": timezone.get_current_timezone_name(),
        "ends": [
            {
                "label": str(end.label),
                "kind": end.name.lower(),
                "values": [figures.ends[end.name.lower()] for _at, figures in series],
            }
            for end in STACKED
        ],
        "times": [
            {
                "label": label % {"share": share},
                "kind": kind,
                "share": share,
                "values": _over([_finite(ask(figures, share / 100)) for _at, figures in series]),
            }
            for kind, label, ask in (
                ("wait", gettext("wait p%(share)d"), _wait),
                ("run", gettext("run p%(share)d"), _run),
            )
            for share in SHARES
        ],
    }


def _wait(figures: Any, share: float) -> float | None:
    found: float | None = figures.wait_time(share)
    return found


def _run(figures: Any, share: float) -> float | None:
    found: float | None = figures.run_time(share)
    return found


def _over(values: list[float | None]) -> list[float | None]:
    """Without the last step, which is not over: the percentiles of its few runs jump about. It
    stays while there is no other."""
    earlier = values[:-1]
    return [*earlier, None] if any(value is not None for value in earlier) else values


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None or seconds == float("inf") else seconds
