"""What each key of ``TASKQ`` may be, and what to say of a value that it may not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from taskq import lifetimes
from taskq.limits import LEAST_MINUTES_TTL, MAX_LEASE, MAX_SECONDS, QUEUE_LENGTH


def _number(value: object) -> bool:
    # This range excludes NaN and infinity.
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) <= MAX_SECONDS
    )


def _positive(value: object) -> bool:
    return _number(value) and value > 0  # type: ignore[operator]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(value: object) -> bool:
    return _whole(value) and value >= 1  # type: ignore[operator]


def _by_queue(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    try:
        return all(_is_queue(queue) and lifetimes.seconds_of(value[queue]) for queue in value)
    except ValueError:
        return False


def _is_queue(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= QUEUE_LENGTH and not {*name} & {*",*\0"}


_SECONDS = (_positive, "give a positive number of seconds")
_SECONDS_FROM_0 = (
    lambda value: _number(value) and value >= 0,
    "give a number of seconds from 0",
)
_SECONDS_OR_NONE = (
    lambda value: value is None or _positive(value),
    "give a positive number of seconds, or None for no limit",
)
_TTL = (
    lambda value: value is None or _positive(value),
    "give a positive number of seconds, or None to keep them",
)
_COUNT_OR_NONE = (
    lambda value: value is None or _count(value),
    "give a whole number from 1, or None",
)

RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "LEASE": (
        lambda value: _positive(value) and 1 <= value <= MAX_LEASE,
        f"give a number of seconds from 1 to {MAX_LEASE} (30 suits most sites)",
    ),
    "HEARTBEAT": _SECONDS,
    "POLL": _SECONDS,
    "DRAIN_TIMEOUT": _SECONDS_FROM_0,
    "CONCURRENCY": _COUNT_OR_NONE,
    "MAX_LOSSES": (
        lambda value: _count(value) and value <= 1000,
        "give a whole number from 1 to 1000",
    ),
    "MAX_PAYLOAD": (_count, "give a number of bytes from 1"),
    "SERIALIZER": (lambda value: value in ("json", "pickle"), 'use "json" or "pickle"'),
    "UNKNOWN_TASK_TTL": _SECONDS,
    "RESULT_TTL": _TTL,
    "FAILED_TTL": _TTL,
    "KEEP_FINISHED": (
        _by_queue,
        'give a dict of lifetimes by the name of a queue, such as {"reports": "7 days"}; a '
        f"lifetime is {lifetimes.FORMS}",
    ),
    "IDEMPOTENCY_TTL": _TTL,
    "LOSS_TTL": _TTL,
    "TIME_LIMIT": _SECONDS_OR_NONE,
    "SOFT_TIME_LIMIT": _SECONDS_OR_NONE,
    "CANCEL_GRACE": _SECONDS_FROM_0,
    "MAX_TASKS_PER_CHILD": _COUNT_OR_NONE,
    "MAX_MEMORY_PER_CHILD": _COUNT_OR_NONE,
    "METRICS_PORT": (
        lambda value: value is None or (_whole(value) and 0 <= value < 65536),
        "give a port from 0 to 65535, or None",
    ),
    "METRICS_HOST": (
        lambda value: isinstance(value, str) and value.strip() != "",
        'give an address, such as "0.0.0.0"',
    ),
    "METRICS_TOKEN": (
        lambda value: value is None or (isinstance(value, str) and len(value) >= 16),
        "give a secret of at least 16 characters, or None",
    ),
    "STATISTICS": (lambda value: isinstance(value, bool), "use True or False"),
    "MINUTES_TTL": (
        lambda value: value is None or (_positive(value) and value >= LEAST_MINUTES_TTL),
        f"give at least {LEAST_MINUTES_TTL} seconds, as hours are made of minutes, or None",
    ),
    "HOURS_TTL": _TTL,
    "RECENT_RUNS": (
        lambda value: value == 0 or (_count(value) and value <= 10_000),
        "give a whole number from 0 to 10000",
    ),
    "LISTEN": (
        lambda value: isinstance(value, (bool, str)),
        "use True, False, or the alias in DATABASES of a direct connection",
    ),
    "IMPORTS": (
        lambda value: (
            isinstance(value, (list, tuple))
            and all(isinstance(each, str) and each.strip(".") for each in value)
        ),
        'give a list of modules, such as ["shop.jobs"]',
    ),
    "CONTEXT": (
        lambda value: (
            isinstance(value, Mapping)
            and all(isinstance(each, str) and each for pair in value.items() for each in pair)
        ),
        'give a dict of modules by header, such as {"tenant": "taskq.contrib.tenants"}',
    ),
    "SCHEDULE": (lambda value: isinstance(value, Mapping), "give a dict of entries by name"),
    "CELERY_ALIAS": (lambda value: isinstance(value, bool), "use True or False"),
}
