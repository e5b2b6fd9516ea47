"""What we want to reach. Each is judged on medians of ratios taken in the same round,
and nothing is rounded up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import ge, le, lt

from stress.bench.contestants import CELERY_DOOR, DJANGO_PEERS
from stress.bench.figures import Spread
from stress.bench.results import Result, Verdict
from stress.bench.scenarios.latency import IDLE_POOL, TRICKLES

Spreads = list[Spread | None]


@dataclass(frozen=True)
class Condition:
    """One part of a target.

    spreads: what it judges; None stands for what was not measured. holds: how the medians must
    be to the bound. peers: whom it compares with.
    """

    text: str
    spreads: Callable[[Result], Spreads]
    holds: Callable[[float, float], bool]
    bound: float
    peers: tuple[str, ...] = ()

    def check(self, result: Result) -> bool | None:
        """None where something was not measured, and nothing else missed the bound."""
        found = self.spreads(result)
        if any(spread and not self.holds(spread.median, self.bound) for spread in found):
            return False
        return None if None in found else True

    def is_narrow(self, result: Result) -> bool:
        """Whether a spread is wider than its margin, which is how far the median is from the
        bound: then another run may judge differently."""
        return any(
            spread.high - spread.low > abs(spread.median - self.bound)
            for spread in self.spreads(result)
            if spread
        )


def of_limit(least: float) -> Condition:
    """At least so much of the limit."""
    return Condition(f"≥ {least:g} of the limit", _to_limit, ge, least)


def limit_times(most: float, text: str) -> Condition:
    """At most so many times the limit."""
    return Condition(text, _to_limit, le, most)


def times(least: float, *peers: str) -> Condition:
    """At least so many times each of these peers."""
    return Condition(f"≥ {least:g} x {', '.join(peers)}", _to_peers(peers), ge, least, peers)


def at_most_times(most: float, *peers: str) -> Condition:
    """At most so many times each of these peers."""
    return Condition(f"≤ {most:g} x {', '.join(peers)}", _to_peers(peers), le, most, peers)


def below(*peers: str) -> Condition:
    """Less than each of these peers."""
    return Condition(f"below {', '.join(peers)}", _to_peers(peers), lt, 1, peers)


def at_most(most: float, unit: str) -> Condition:
    return Condition(f"≤ {most:g} {unit}", _ours, le, most)


def at_least(least: float) -> Condition:
    return Condition(f"≥ {least:g}", _ours, ge, least)


def detail_at_most(key: str, most: float, unit: str = "") -> Condition:
    """Of what our rounds showed besides."""
    text = f"{key} ≤ {most:g} {unit}".strip()
    return Condition(text, lambda result: [result.shown_spread(key)], le, most)


def never(key: str) -> Condition:
    """The same is 0 in each round."""

    def worst(result: Result) -> Spreads:
        found = result.shown_spread(key)
        return [found and replace(found, median=found.high)]

    return Condition(f"no {key}", worst, le, 0)


def _ours(result: Result) -> Spreads:
    return [result.ours_spread()]


def _to_limit(result: Result) -> Spreads:
    return [result.ratio_to_limit()]


def _to_peers(peers: Sequence[str]) -> Callable[[Result], Spreads]:
    return lambda result: [result.ratio_to_peer(peer) for peer in peers]


DATABASE_PEERS = ("django-taskq", "django-tasks-db", "Procrastinate", "PgQueuer 100", "django-q2")

DJANGO_DOOR = (of_limit(0.7), times(0.5, CELERY_DOOR), times(20, "django-ox", "dj-queue"))

TARGETS: dict[str, tuple[Condition, ...]] = {
    "drain-noop-c8": (
        of_limit(0.8),
        times(3, "PgQueuer 10", "PgQueuer 100"),
        times(8, "Dramatiq", "Huey"),
        times(40, "django-taskq", "Celery"),
    ),
    "drain-noop-c1": (of_limit(0.8),),
    "drain-atomic-c8": (of_limit(0.8),),
    "drain-atomic-c8-slow-disk": (of_limit(0.8),),
    "drain-django-c8": DJANGO_DOOR,
    "drain-django-c8-slow-disk": DJANGO_DOOR,
    "drain-failing-c8": (of_limit(0.3),),
    **{
        f"drain-{kind}-c8-measured": (of_limit(0.97),)
        for kind in ("noop", "django", "failing", "5ms")
    },
    "drain-5ms-c8": (of_limit(0.95),),
    "drain-5ms-c8-slow-disk": (of_limit(0.95),),
    "drain-50ms-c8": (of_limit(0.95),),
    "drain-50ms-c8-slow-disk": (of_limit(0.95),),
    "enqueue-single": (of_limit(0.7), times(1.5, *DATABASE_PEERS), times(1, "Huey")),
    "enqueue-django": (of_limit(0.7), times(2, *DJANGO_PEERS)),
    "enqueue-bulk": (of_limit(0.5),),
    "latency-idle": (
        at_most(3, "ms p50"),
        detail_at_most("p99", 15, "ms"),
        below("Celery"),
    ),
    **{
        f"latency-trickle-{rate}": (
            at_most_times(1.5, IDLE_POOL),
            detail_at_most("p99", 15, "ms"),
        )
        for rate in TRICKLES
    },
    "idle-queries": (at_most(1.5, "queries/s"),),
    "idle-cpu": (at_most(0.2, "% of a core"),),
    "backlog-100k": (of_limit(0.9),),
    "backlog-1m": (of_limit(0.9),),
    "backlog-1m-future": (of_limit(0.9),),
    "long-transaction": (at_least(0.7),),
    "notify-busy": (of_limit(0.9),),
    "notify-listening": (of_limit(0.9),),
    "notify-sleeping": (of_limit(0.9),),
    "memory-c8": (limit_times(2.5, "≤ 2.5 x one worker"), below("Celery")),
    # The times in the server's log are of milliseconds, and timers are a little late.
    "heartbeat": (
        detail_at_most("statements an interval", 1.05),
        never("task rows written"),
    ),
    "latency-chain": (at_most(20, "ms p50"),),
    "drain-group-c8": (of_limit(0.5),),
    "sqlite-drain-c4": (of_limit(0.5), never("locked errors")),
}


def peers_of(scenario: str) -> set[str]:
    """The peers that its target names."""
    return {peer for condition in TARGETS.get(scenario, ()) for peer in condition.peers}


def judge(result: Result) -> Verdict:
    """A part that could not be judged leaves it open, unless another part was missed."""
    conditions = TARGETS.get(result.scenario, ())
    text = "; ".join(condition.text for condition in conditions)
    narrow = any(condition.is_narrow(result) for condition in conditions)
    if not conditions:
        return Verdict(text, None, narrow)
    if result.ours_spread() is None:
        return Verdict(text, False, narrow)
    verdicts = [condition.check(result) for condition in conditions]
    if False in verdicts:
        return Verdict(text, False, narrow)
    return Verdict(text, None if None in verdicts else True, narrow)
