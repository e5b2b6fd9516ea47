"""The ``TASKQ`` setting: its keys and their defaults. What each may be is in ``setting_rules``."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from taskq import lifetimes
from taskq.setting_rules import RULES


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The keys of ``TASKQ``, in lower case.

    lease: seconds that a worker may hold tasks without a renewal. 30: a lost host is noticed
        in half a minute, and a database failover is shorter.
    heartbeat: seconds between renewals, at most a third of the lease: two renewals may then
        fail before the lease ends.
    poll: seconds between looks for due tasks when no wake-up came.
    drain_timeout: seconds that running tasks get after TERM. 25, because Kubernetes kills
        after 30.
    concurrency: worker processes of a pool; None is one for each core.
    max_losses: how often a task may lose its worker before it fails.
    max_payload: bytes of encoded arguments that one task may have.
    serializer: "json", or "pickle" (signed with SECRET_KEY) for callers that need it.
    unknown_task_ttl: seconds that a task whose name no worker knows waits for one that
        knows it. After that it fails.
    result_ttl: seconds for which results are kept, for tasks that keep them; None is for ever.
    failed_ttl: seconds for which failed tasks are kept; None is until a person retries or
        deletes them.
    keep_finished: for how long finished tasks are kept, by queue, such as "7 days". Empty, because
        a row for each finished task is what a queue need not pay for.
    idempotency_ttl: seconds for which an idempotency key stands for its first task; None is
        for ever. A day, because a caller that got no answer sends again within that time.
    loss_ttl: seconds for which losses are kept (see ``taskq.models.losses``); None is for ever. A
        month, so that the crashes of two releases can be compared.
    time_limit, soft_time_limit: seconds that a run may take, for tasks that set none.
    cancel_grace: seconds between TaskCancelled in a cancelled task and the end of its worker.
        10 is enough to clean up, and less than a pool usually gets to stop.
    max_tasks_per_child: runs after which a worker is replaced; None is never.
    max_memory_per_child: KiB of resident memory above which a worker is replaced.
    metrics_port: TCP port on which each pool serves metrics and probes; None is none. 0 is a free
        one, which the log names.
    metrics_host: the address of that port. Loopback, as metrics name tasks and queues.
    metrics_token: a secret by which a scraper may see ``taskq.metrics.view``; None: only users with
        the permission may.
    statistics: measure runs, for the dashboard and for metrics. Workers count in memory, and the
        pool writes a few small rows a minute.
    minutes_ttl, hours_ttl: seconds for which the figures of each minute and of each hour are kept;
        None is for ever. Two days and 90 days.
    recent_runs: how many of the last runs of each task name are kept; 0 for none.
    listen: hear of new tasks by LISTEN/NOTIFY. False only polls, for a connection pooler in
        transaction mode. A string names the database alias of a direct connection.
    imports: modules that define tasks, beside the ``tasks.py`` of each app. The site imports
        them as pools do, because the sender of a task must know it.
    context: the surroundings of a call in which its task runs again, by the name of a header.
        ``taskq.task.carried_context`` explains them.
    schedule: periodic tasks, by name. ``taskq.schedules.entries`` explains an entry.
    celery_alias: ``import celery`` finds ``taskq.celery``, for apps of others. False, because it
        stands for a package that could be installed.
    """

    lease: float = 30.0
    heartbeat: float = 10.0
    poll: float = 1.0
    drain_timeout: float = 25.0
    concurrency: int | None = None
    max_losses: int = 3
    max_payload: int = 256 * 1024
    serializer: str = "json"
    unknown_task_ttl: float = 86400.0
    result_ttl: float | None = 86400.0
    failed_ttl: float | None = None
    keep_finished: Mapping[str, Any] = field(default_factory=dict)
    idempotency_ttl: float | None = 86400.0
    loss_ttl: float | None = 30 * 86400.0
    time_limit: float | None = None
    soft_time_limit: float | None = None
    cancel_grace: float = 10.0
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    metrics_token: str | None = None
    statistics: bool = True
    minutes_ttl: float | None = 2 * 86400.0
    hours_ttl: float | None = 90 * 86400.0
    recent_runs: int = 50
    listen: bool | str = True
    imports: Sequence[str] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    schedule: Mapping[str, Any] = field(default_factory=dict)
    celery_alias: bool = False

    @property
    def direct(self) -> bool:
        """Whether no pooler is in between. A pooler passes no wake-ups on."""
        return self.listen is True

    @property
    def kept_queues(self) -> dict[str, float]:
        """``keep_finished`` in seconds."""
        return {queue: lifetimes.seconds_of(each) for queue, each in self.keep_finished.items()}


@dataclass(frozen=True)
class Problem:
    """A value that cannot be used, and what to give instead."""

    key: str
    value: object
    mend: str

    def __str__(self) -> str:
        return self.said_of(f"TASKQ[{self.key!r}]" if self.key else "TASKQ", self.mend)

    def said_of_option(self, option: str) -> str:
        """The same where an option of a command gave the value. An option cannot give None."""
        return self.said_of(option, self.mend.partition(", or None")[0])

    def said_of(self, what: str, mend: str) -> str:
        return f"{what} is {self.value!r}: {mend}"


KEYS = {each.name.upper(): each for each in fields(Settings)}
_KNOWN = ", ".join(KEYS)


def problems(given: object) -> list[Problem]:
    """What is wrong with a value of ``TASKQ``; empty when nothing is."""
    if not isinstance(given, Mapping):
        return [Problem("", given, "give a dict of settings")]
    found = []
    for key, value in given.items():
        if key not in KEYS:
            found.append(Problem(key, value, f"no such key; {_near(key)}known are {_KNOWN}"))
        elif not RULES[key][0](value):
            found.append(Problem(key, value, RULES[key][1]))
    return found or _contradictions(_settings(given), given)


def _near(key: object) -> str:
    near = difflib.get_close_matches(str(key).upper(), KEYS, n=1)
    return f"did you mean {near[0]}? " if near else ""


def _contradictions(settings: Settings, given: Mapping[str, Any]) -> list[Problem]:
    found = []
    if settings.heartbeat > settings.lease / 3 + 1e-9:  # in floats, 0.4 is more than 1.2 / 3
        key = "HEARTBEAT" if "HEARTBEAT" in given else "LEASE"
        value = settings.heartbeat if key == "HEARTBEAT" else settings.lease
        found.append(
            Problem(
                key,
                value,
                f"the heartbeat ({settings.heartbeat:g} s) must be at most a third of the lease "
                f"({settings.lease:g} s), so that one lost renewal ends no lease; "
                f"lower HEARTBEAT to {math.floor(settings.lease / 0.3) / 10:g} or raise LEASE to "
                f"{math.ceil(settings.heartbeat * 3)}",
            )
        )
    if (
        settings.soft_time_limit
        and settings.time_limit
        and settings.soft_time_limit > settings.time_limit
    ):
        found.append(
            Problem(
                "SOFT_TIME_LIMIT",
                settings.soft_time_limit,
                f"it must be below TIME_LIMIT ({settings.time_limit:g} s), or equal to it: else "
                "the task is killed before it is warned",
            )
        )
    return found


def _settings(given: Mapping[str, Any]) -> Settings:
    return Settings(**{key.lower(): value for key, value in given.items()})


@functools.cache
def settings() -> Settings:
    """The settings in force.

    Raises ImproperlyConfigured, naming the key, the value and what to give instead.
    """
    return overridden({})


def overridden(values: Mapping[str, Any], options: Mapping[str, str] | None = None) -> Settings:
    """The settings, with the keys that command-line options replace.

    options: the option of each key that was given by one, for the text of an error.

    Raises ImproperlyConfigured, naming the key or the option, the value and what to give instead.
    """
    named = options or {}
    given = getattr(django_settings, "TASKQ", {})
    merged = {**given, **values} if isinstance(given, Mapping) else given
    if found := problems(merged):
        raise ImproperlyConfigured(
            "; ".join(
                each.said_of_option(named[each.key]) if each.key in named else str(each)
                for each in found
            )
        )
    return _settings(merged)


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "TASKQ":
        settings.cache_clear()


setting_changed.connect(_forget)
