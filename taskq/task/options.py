"""The options of a task, checked when its decorator runs."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from taskq import lifetimes
from taskq.task.call_notes import check_limits
from taskq.task.timing import CATCH_UP, CatchUp, Given, parse
from taskq.values import check_max_retries, check_priority, check_queue, check_seconds, require

#: Options for which None is a value, not "not given".
_NONE = ("max_retries",)
_FORMAT = string.Formatter()


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """Options of a task. Names and defaults are Celery's where Celery has the option.

    queue: the queue in which it waits. None is the default queue.
    priority: -100 to 100; a higher one is claimed sooner.
    max_retries: retries after the first run; None is no limit.
    default_retry_delay: seconds before a retry that names no other time.
    autoretry_for, dont_autoretry_for: exception classes that are retried automatically, and
        exceptions to them.
    retry_kwargs: max_retries and countdown of these automatic retries, in place of
        max_retries and default_retry_delay.
    retry_backoff: seconds before the first automatic retry; each further retry waits twice as
        long. True is 1. False waits default_retry_delay each time.
    retry_backoff_max: upper limit of the back-off, in seconds.
    retry_jitter: wait a random part of the back-off. Tasks that failed together then do not
        all run again at the same moment.
    on_lost: what happens when its worker is lost. "retry" runs the task again. "fail" keeps it
        for a person, for work that must not be repeated blindly.
    atomic: the task's database writes and its completion are one transaction.
    time_limit: seconds after which its worker is killed.
    soft_time_limit: seconds after which SoftTimeLimitExceeded is raised in the task.
    bind: pass the task itself as the first argument.
    ignore_result: do not keep the return value.
    keep_finished: how long a finished run is kept in ``taskq_finished``, in seconds. 0 keeps none,
        None is what KEEP_FINISHED says of the queue.
    typing: check a call's arguments against the function's signature when the task is sent.
        With False, a wrong call fails in its run.
    schedule: send it periodically: a cron expression, in the site's time zone, a timedelta, or
        ``crontab()`` of ``taskq.celery.schedules``.
    catch_up: what happens to missed ticks of the schedule. Ticks are missed when no pool ran
        for longer than a minute. "once" sends one task for all of them, "skip" sends none,
        "all" sends one for each.
    unique: how to make a key from a call's arguments. Of the calls with the same key only one
        task waits, and the other calls join it. "args" uses all arguments.
        "customer-{customer_id}" is a format string with the arguments by name. A function gets
        the arguments and returns the key; it returns None for a call that joins nothing.
    unique_until: when the key is free again. "start": when the task starts; a later call makes
        a new task, because this run may not see the caller's changes. "finish": when the task
        is done or has failed; no two run at once, and a call may join one that runs.
    sensitive: names of parameters whose values nobody should read. They are masked where
        arguments are shown, and in the errors, tracebacks and log lines of the task's runs.
        The stored arguments stay whole, because the task needs them.
    """

    queue: str | None = None
    priority: int = 0
    max_retries: int | None = 3
    default_retry_delay: float = 180.0
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    retry_kwargs: Mapping[str, Any] = field(default_factory=dict)
    retry_backoff: float = 0.0
    retry_backoff_max: float = 600.0
    retry_jitter: bool = True
    on_lost: Literal["retry", "fail"] = "retry"
    atomic: bool = False
    time_limit: float | None = None
    soft_time_limit: float | None = None
    bind: bool = False
    ignore_result: bool = True
    keep_finished: float | None = None
    typing: bool = True
    schedule: Given | None = None
    catch_up: CatchUp = "once"
    unique: str | Callable[..., str | None] | None = None
    unique_until: Literal["start", "finish"] = "start"
    sensitive: tuple[str, ...] = ()


def task_options(given: Mapping[str, Any]) -> TaskOptions:
    """The options that a decorator was given. An option that is None counts as not given.
    Exception: for max_retries, None means no limit.

    Raises TypeError for an unknown option or a wrong type, ValueError for a value
    out of range. Both name the option, the value and what is allowed.
    """
    known = {each.name for each in fields(TaskOptions)}
    for name in given:
        if name not in known:
            raise TypeError(f"unknown task option {name!r}; known are {', '.join(sorted(known))}")
    options = {name: each for name, each in given.items() if each is not None or name in _NONE}
    for name in ("autoretry_for", "dont_autoretry_for"):
        options[name] = _exceptions(name, options.get(name, ()))
    if "queue" in options:
        check_queue(options["queue"])
    check_priority(options.get("priority", 0))
    _check_retries(options)
    check_limits(options.get("time_limit"), options.get("soft_time_limit"))
    _check_unique(options)
    _check_sensitive(options)
    on_lost = options.get("on_lost", "retry")
    require(on_lost in ("retry", "fail"), "on_lost", on_lost, 'use "retry" or "fail"')
    if "schedule" in options:
        parse(options["schedule"])
    catch_up = options.get("catch_up", "once")
    require(catch_up in CATCH_UP, "catch_up", catch_up, f"use one of {', '.join(CATCH_UP)}")
    if "keep_finished" in options:
        options["keep_finished"] = _lifetime(options["keep_finished"])
    for name in ("atomic", "bind", "ignore_result", "retry_jitter", "typing"):
        value = options.get(name, False)
        require(isinstance(value, bool), name, value, "use True or False")
    return TaskOptions(**options)


def _check_retries(options: dict[str, Any]) -> None:
    automatic = options.get("retry_kwargs", {})
    require(isinstance(automatic, Mapping), "retry_kwargs", automatic, "give a dict")
    options["retry_kwargs"] = automatic = dict(automatic)
    known = automatic.keys() <= {"max_retries", "countdown"}
    require(known, "retry_kwargs", automatic, "known are max_retries and countdown")
    check_max_retries("retry_kwargs['max_retries']", automatic.get("max_retries"), "the task's own")
    if automatic.get("countdown") is not None:
        check_seconds("retry_kwargs['countdown']", automatic["countdown"])
    check_max_retries("max_retries", options.get("max_retries"))
    check_seconds("default_retry_delay", options.get("default_retry_delay", 0))
    check_seconds("retry_backoff_max", options.get("retry_backoff_max", 0))
    backoff = options.get("retry_backoff", 0)
    if isinstance(backoff, bool):
        backoff = options["retry_backoff"] = 1.0 if backoff else 0.0
    check_seconds("retry_backoff", backoff)


def _lifetime(given: object) -> float:
    if given is False:
        return 0.0
    try:
        return lifetimes.seconds_of(given)
    except ValueError as error:
        require(False, "keep_finished", given, f"{error}, or False to keep none")
        raise


def _check_unique(options: dict[str, Any]) -> None:
    unique, until = options.get("unique"), options.get("unique_until", "start")
    good = unique is None or unique == "args" or callable(unique) or _has_fields(unique)
    mend = 'use "args", a format of the arguments such as "customer-{customer_id}", or a function'
    require(good, "unique", unique, mend)
    require(until in ("start", "finish"), "unique_until", until, 'use "start" or "finish"')


def _check_sensitive(options: dict[str, Any]) -> None:
    names, unique = options.get("sensitive", ()), options.get("unique")
    good = isinstance(names, (tuple, list, set, frozenset)) and all(
        isinstance(each, str) and each for each in names
    )
    mend = 'give a tuple of names of parameters, such as ("token",)'
    require(good, "sensitive", names, mend)
    options["sensitive"] = tuple(names)
    if isinstance(unique, str) and unique != "args":
        # Of a field such as "{card.number}" the first word is the parameter.
        fields = {re.split(r"[.\[]", name)[0] for _, name, *_ in _FORMAT.parse(unique) if name}
        mend = 'the key would show a sensitive argument: use "args", which stores a hash'
        require(not fields & set(names), "unique", unique, mend)


def _has_fields(text: object) -> bool:
    """Whether this is a format string that names at least one of its arguments."""
    try:
        return isinstance(text, str) and any(name for _, name, *_ in _FORMAT.parse(text))
    except ValueError:
        return False


def _exceptions(name: str, value: object) -> tuple[type[BaseException], ...]:
    classes = (value,) if isinstance(value, type) else value
    good = isinstance(classes, (tuple, list, set, frozenset)) and all(
        isinstance(each, type) and issubclass(each, BaseException) for each in classes
    )
    require(good, name, value, "give a tuple of exception classes")
    return tuple(classes)  # type: ignore[arg-type]
