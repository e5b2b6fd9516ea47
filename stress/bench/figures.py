"""From samples to figures: pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Seconds since some moment, and how many were done by then.
Sample = tuple[float, int]

#: The share of completions that is left out at the beginning, while workers still start,
#: and at the end, when some have nothing left to do.
EDGE = 0.1


class TooFewSamples(ValueError):
    """There are too few samples for a figure."""


@dataclass(frozen=True)
class Spread:
    """The values of some rounds: the median, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises TooFewSamples for none."""
        ordered = sorted(values)
        if not ordered:
            raise TooFewSamples("no round gave a value")
        return cls(statistics.median(ordered), ordered[0], ordered[-1])


def ratios(ours: Sequence[float | None], theirs: Sequence[float | None]) -> list[float]:
    """Our value divided by theirs in each round that has both. A disturbed round disturbs
    both values."""
    return [a / b for a, b in zip(ours, theirs, strict=True) if a is not None and b]


def steady_rate(samples: Sequence[Sample], *, edge: float = EDGE) -> float:
    """Completions a second between the first ``edge`` of them and the last.

    Times between two samples are interpolated, because batches complete in steps.

    Raises TooFewSamples if no time lies between the two.
    """
    if not samples or samples[-1][1] <= 0:
        raise TooFewSamples("nothing was completed")
    total = samples[-1][1]
    low, high = total * edge, total * (1 - edge)
    began, ended = _reached(samples, low), _reached(samples, high)
    if ended <= began:
        raise TooFewSamples(f"{total} were completed at once: give it more to do")
    return (high - low) / (ended - began)


def rate_between(samples: Sequence[Sample], began: float, ended: float) -> float:
    """Completions a second between two times of the samples."""
    if ended <= began:
        raise TooFewSamples(f"from {began:g} s to {ended:g} s is no time")
    return (_done_at(samples, ended) - _done_at(samples, began)) / (ended - began)


def time_line(samples: Sequence[Sample], *, step: float = 1.0) -> list[float]:
    """Completions a second in each whole step."""
    if not samples:
        return []
    first, last = samples[0][0], samples[-1][0]
    steps = int((last - first) / step)
    return [
        rate_between(samples, first + at * step, first + (at + 1) * step) for at in range(steps)
    ]


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that ``percent`` of the values do not exceed. It is one of them (nearest rank).

    Raises TooFewSamples for none.
    """
    if not values:
        raise TooFewSamples("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def _reached(samples: Sequence[Sample], count: float) -> float:
    """When ``count`` were done."""
    before: Sample = samples[0]
    for sample in samples:
        if sample[1] >= count:
            if sample[1] == before[1]:
                return sample[0]
            part = (count - before[1]) / (sample[1] - before[1])
            return before[0] + max(0.0, part) * (sample[0] - before[0])
        before = sample
    return samples[-1][0]


def _done_at(samples: Sequence[Sample], at: float) -> float:
    """How many were done at a moment."""
    before: Sample = samples[0]
    for sample in samples:
        if sample[0] >= at:
            if sample[0] == before[0]:
                return sample[1]
            part = (at - before[0]) / (sample[0] - before[0])
            return before[1] + part * (sample[1] - before[1])
        before = sample
    return samples[-1][1]
