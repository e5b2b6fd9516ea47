"""What we want to reach. Each is judged on medians of ratios taken in the same round,
and nothing is rounded up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stress.bench.contestants import CELERY_DOOR, DJANGO_PEERS
from stress.bench.results import Result


@dataclass(frozen=True)
class Condition:
    """One part of a target; the check says None where nothing was measured to judge by.

    peers: whom it compares with.
    """

    text: str
    check: Callable[[Result], bool | None]
    peers: tuple[str, ...] = ()


def of_limit(least: float) -> Condition:
    """At least so much of the limit."""

    def check(result: Result) -> bool | None:
        ratio = result.ratio_to_limit()
        return None if ratio is None else ratio.median >= least

    return Condition(f"≥ {least:g} of the limit", check)


def limit_times(most: float, text: str) -> Condition:
    """At most so many times the limit."""

    def check(result: Result) -> bool | None:
        ratio = result.ratio_to_limit()
        return None if ratio is None else ratio.median <= most

    return Condition(text, check)


def times(least: float, *peers: str) -> Condition:
    """At least so many times each of these peers."""

    def check(result: Result) -> bool | None:
        found = [result.ratio_to_peer(peer) for peer in peers]
        if any(ratio is not None and ratio.median < least for ratio in found):
            return False
        return None if None in found else True

    return Condition(f"≥ {least:g} x {', '.join(peers)}", check, peers)


def below(*peers: str) -> Condition:
    """Less than each of these peers."""

    def check(result: Result) -> bool | None:
        found = [result.ratio_to_peer(peer) for peer in peers]
        if any(ratio is not None and ratio.median >= 1 for ratio in found):
            return False
        return None if None in found else True

    return Condition(f"below {', '.join(peers)}", check, peers)


def at_most(most: float, unit: str) -> Condition:
    def check(result: Result) -> bool | None:
        ours = result.ours_spread()
        return None if ours is None else ours.median <= most

    return Condition(f"≤ {most:g} {unit}", check)


def at_least(least: float) -> Condition:
    def check(result: Result) -> bool | None:
        ours = result.ours_spread()
        return None if ours is None else ours.median >= least

    return Condition(f"≥ {least:g}", check)


def detail_at_most(key: str, most: float, unit: str) -> Condition:
    """Of what our last round showed besides."""

    def check(result: Result) -> bool | None:
        value = result.detail.get("taskq", {}).get(key)
        return None if value is None else bool(value <= most)

    return Condition(f"{key} ≤ {most:g} {unit}".strip(), check)


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
        detail_at_most("statements an interval", 1.05, ""),
        detail_at_most("task rows written", 0, ""),
    ),
    "sqlite-drain-c4": (of_limit(0.5), detail_at_most("locked errors", 0, "")),
}


def peers_of(scenario: str) -> set[str]:
    """The peers that its target names."""
    return {peer for condition in TARGETS.get(scenario, ()) for peer in condition.peers}


def judge(result: Result) -> tuple[str, bool | None]:
    """The target in words, and whether it is met: None where there is none, or where a
    part of it could not be judged and no other part was missed."""
    conditions = TARGETS.get(result.scenario, ())
    text = "; ".join(condition.text for condition in conditions)
    if not conditions:
        return text, None
    if result.ours_spread() is None:
        return text, False
    verdicts = [condition.check(result) for condition in conditions]
    if False in verdicts:
        return text, False
    return text, None if None in verdicts else True
