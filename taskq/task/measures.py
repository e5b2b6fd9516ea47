"""What is measured of runs, and how figures of many runs are put together."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import IntegerChoices
from django.utils.translation import gettext_lazy as _

#: The upper bounds of a histogram's buckets in seconds. One more bucket has all that is longer.
#: Steps of two to three: a percentile is right within such a step, and a histogram stays small.
BOUNDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0),
)
BUCKETS = len(BOUNDS) + 1


class End(IntegerChoices):
    """How a run ended."""

    DONE = 0, _("done")
    FAILED = 1, _("failed")  # the task is given up
    RETRIED = 2, _("retried")  # it raised, and the task runs again
    LOST = 3, _("lost")  # its worker died, or the database went away
    CANCELLED = 4, _("cancelled")


#: A row of counters: a count for each of End, the sums of run times and of waits in microseconds,
#: the histogram of run times, the histogram of waits.
RAN, WAITED = len(End), len(End) + 1
RUN = slice(WAITED + 1, WAITED + 1 + BUCKETS)
WAIT = slice(RUN.stop, RUN.stop + BUCKETS)
COLUMNS = WAIT.stop
#: Names and queues that a pool counts apart. More than these are counted together, with no name.
MOST_KEYS = 2000


#: Seconds. A longer run or wait counts as this long: people write due times by hand.
MOST = 30 * 86400.0
_SECOND = 1_000_000


def key(name: str, queue: str) -> bytes:
    """The key of the counters for tasks of this name in this queue."""
    return f"{name}\0{queue}".encode(errors="replace")


def name_and_queue(key: bytes) -> tuple[str, str]:
    """What :func:`key` was made of. Empty texts for the counters of many keys."""
    name, _, queue = key.decode(errors="replace").partition("\0")
    return name, queue


def amounts(ends: Sequence[End], seconds: Sequence[float], waits: Sequence[float]) -> list[int]:
    """What to add to the counters for some runs: how they ended, how long they took, and how long
    their tasks had waited."""
    counts = [ends.count(end) for end in End]
    ran, waited = _limited(seconds), _limited(waits)
    sums = [round(sum(ran) * _SECOND), round(sum(waited) * _SECOND)]
    return [*counts, *sums, *histogram(ran), *histogram(waited)]


def _limited(seconds: Sequence[float]) -> list[float]:
    """The values in order, each from 0 to MOST."""
    ordered = sorted(seconds)
    if ordered and (ordered[0] < 0 or ordered[-1] > MOST):
        return [min(max(each, 0.0), MOST) for each in ordered]
    return ordered


def histogram(ordered: Sequence[float]) -> list[int]:
    """How many of these sorted values fall into each bucket. A value that is equal to a bound falls
    into the bucket below it."""
    first = bisect_left(BOUNDS, ordered[0]) if ordered else 0
    last = bisect_left(BOUNDS, ordered[-1]) if ordered else 0
    counts = [0] * BUCKETS
    begin = 0
    for bucket in range(first, last):
        end = bisect_right(ordered, BOUNDS[bucket], begin)
        counts[bucket] = end - begin
        begin = end
    counts[last] = len(ordered) - begin
    return counts


@dataclass
class Figures:
    """The figures of some runs.

    Attributes:
        done, failed, retried, lost, cancelled: How many runs ended in each way.
        run_seconds: The run times of all that ended by themselves, together.
        wait_seconds: How long they had been due before they started, together.
        run, wait: Histograms of these two: a count for each bucket of ``BOUNDS``.
    """

    done: int = 0
    failed: int = 0
    retried: int = 0
    lost: int = 0
    cancelled: int = 0
    run_seconds: float = 0.0
    wait_seconds: float = 0.0
    run: Sequence[int] = field(default_factory=lambda: [0] * BUCKETS)
    wait: Sequence[int] = field(default_factory=lambda: [0] * BUCKETS)

    @classmethod
    def of(cls, counters: Sequence[int]) -> Figures:
        """The figures of a row of counters."""
        done, failed, retried, lost, cancelled = counters[: len(End)]
        return cls(
            done,
            failed,
            retried,
            lost,
            cancelled,
            counters[RAN] / _SECOND,
            counters[WAITED] / _SECOND,
            counters[RUN],
            counters[WAIT],
        )

    @property
    def ends(self) -> dict[str, int]:
        """How many runs ended in each way, by its name."""
        return {
            "done": self.done,
            "failed": self.failed,
            "retried": self.retried,
            "lost": self.lost,
            "cancelled": self.cancelled,
        }

    @property
    def runs(self) -> int:
        """How many runs ended, in whatever way."""
        return sum(self.ends.values())

    def run_time(self, share: float) -> float | None:
        """The run time in seconds that this share of the runs did not exceed. See quantile()."""
        return quantile(self.run, share)

    def wait_time(self, share: float) -> float | None:
        """The wait in seconds that this share of the runs did not exceed. See quantile()."""
        return quantile(self.wait, share)


def total(many: Iterable[Figures]) -> Figures:
    """The figures of all of these together."""
    whole = Figures()
    for each in many:
        whole.done += each.done
        whole.failed += each.failed
        whole.retried += each.retried
        whole.lost += each.lost
        whole.cancelled += each.cancelled
        whole.run_seconds += each.run_seconds
        whole.wait_seconds += each.wait_seconds
        whole.run = [ours + more for ours, more in zip(whole.run, each.run, strict=True)]
        whole.wait = [ours + more for ours, more in zip(whole.wait, each.wait, strict=True)]
    return whole


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The value that this share of a histogram's values does not exceed: in a straight line between
    the bounds of its bucket. None for an empty histogram. The last bucket has no upper bound: its
    lower bound stands for it.

    share: from 0 to 1, such as 0.95.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    for bucket, count in enumerate(counts):
        if count and wanted <= count:
            low = BOUNDS[bucket - 1] if bucket else 0.0
            high = BOUNDS[bucket] if bucket < len(BOUNDS) else low
            return low + (high - low) * wanted / count
        wanted -= count
    return BOUNDS[-1]  # share is 1, and the sums of the loop were rounded
