"""The options of a task: Celery's defaults, and all misuse refused at once."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta

import pytest

from taskq.celery import shared_task
from taskq.task.options import TaskOptions, task_options


def test_defaults_are_celerys():
    options = task_options({})
    assert options == TaskOptions()
    assert options.max_retries == 3
    assert options.default_retry_delay == 180
    assert options.autoretry_for == options.dont_autoretry_for == ()
    assert not options.retry_backoff
    assert options.retry_backoff_max == 600
    assert options.retry_jitter is True
    assert options.queue is options.time_limit is options.soft_time_limit is None
    assert (options.priority, options.on_lost, options.atomic, options.bind) == (
        0,
        "retry",
        False,
        False,
    )


DAY = 86_400.0
GOOD = {
    "queue": [None, "mail", "q" * 64],
    "priority": [-100, 0, 100],
    "max_retries": [None, 0, 1, 10**6],
    "default_retry_delay": [0, 0.5, 180, 10**10],
    "autoretry_for": [(), (KeyError,), (KeyError, ValueError), (Exception,), (BaseException,)],
    "dont_autoretry_for": [(), (KeyError,)],
    "retry_kwargs": [
        {},
        {"max_retries": 5},
        {"countdown": 0.5},
        {"max_retries": 0, "countdown": 5},
    ],
    "retry_backoff": [0.0, 0.1, 5.0],
    "retry_backoff_max": [0, 0.5, 600],
    "retry_jitter": [True, False],
    "on_lost": ["retry", "fail"],
    "atomic": [True, False],
    "bind": [True, False],
    "ignore_result": [True, False],
    "keep_finished": [None, 0.5, 7 * DAY, 366 * DAY],
    "typing": [True, False],
    "time_limit": [None, 0.001, 60],
    "soft_time_limit": [None, 0.001, 60],
    "schedule": [None, "*/5 * * * *", "every 90 s", timedelta(seconds=90)],
    "catch_up": ["once", "skip", "all"],
    "unique": [None, "args", "{order}", "order-{order.pk}", str],
    "unique_until": ["start", "finish"],
    "sensitive": [(), ("token",), ("token", "pin")],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in GOOD.items() for v in values])
def test_value_is_kept(name, value):
    assert getattr(task_options({name: value}), name) == value


NAN, INF = float("nan"), float("inf")
SECONDS = r"give a number of seconds from 0 to 10000000000"
CLASSES = "give a tuple of exception classes"
RETRIES = "give a whole number from 0, or None for no limit"
BAD = {
    "queue": (["", "q" * 65, "a,b", "mail*", "nul\0", 5, ["mail"]], "give |cannot be"),
    "priority": ([-101, 101, 0.5, "high", True, [1]], "give a whole number from -100 to 100"),
    "max_retries": ([-1, 1.5, "3", True, NAN, INF, [3]], RETRIES),
    "default_retry_delay": ([-1, "3", True, NAN, INF, 10**11, 10**400, [3]], SECONDS),
    "autoretry_for": (
        [KeyError("k"), "KeyError", (int,), [KeyError, "x"], {1: 2}, 5],
        CLASSES,
    ),
    "dont_autoretry_for": ([KeyError("k"), "KeyError", (int,), [KeyError, 5], 5], CLASSES),
    "retry_kwargs": (["5", 5, [("countdown", 5)]], "give a dict"),
    "retry_backoff": ([-1, "yes", NAN, INF, [1]], SECONDS),
    "retry_backoff_max": ([-1, "yes", NAN, INF, True], SECONDS),
    "retry_jitter": ([1, "no", []], "use True or False"),
    "on_lost": (["ignore", True, 1, [], "RETRY"], 'use "retry" or "fail"'),
    "atomic": ([1, "yes"], "use True or False"),
    "bind": ([1, "yes"], "use True or False"),
    "ignore_result": ([1, "yes"], "use True or False"),
    "keep_finished": (
        [
            *("7 dys", "", "days", "0 days", "-1 days", "1.5 days", "367 days", "9999999999 days"),
            *(timedelta(0), timedelta(days=367), 0, -1, True, NAN, INF, 367 * DAY, [7]),
        ],
        'give a text such as "7 days" or "12 hours" .*, or False to keep none',
    ),
    "typing": ([1, "yes"], "use True or False"),
    "time_limit": ([0, -1, "5", True, NAN, INF, [5]], "give a number of seconds "),
    "soft_time_limit": ([0, -1, "5", True, NAN, INF, [5]], "give a number of seconds "),
    "schedule": (["soon", 60, True, timedelta(0), {}], "give a cron expression"),
    "catch_up": ([True, 1, "never", []], "use one of once, skip, all"),
    "unique": (["", "arguments", "{}", "{", True, 5, ["args"], {}], 'use "args", a format'),
    "unique_until": (["", "end", 5, True], 'use "start" or "finish"'),
    "sensitive": (["token", True, 5, [5], ("",), {"a": 1}], "give a tuple of names of parameters"),
}


def test_every_option_is_tried():
    names = {field.name for field in dataclasses.fields(TaskOptions)}
    assert GOOD.keys() == BAD.keys() == names


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [(name, value, allowed) for name, (values, allowed) in BAD.items() for value in values],
)
def test_bad_value_is_refused_when_the_decorator_runs(name, value, allowed):
    """The message names the option, the value, and what is allowed."""
    with pytest.raises((TypeError, ValueError)) as caught:
        shared_task(**{name: value})
    assert re.match(re.escape(f"{name} is {value!r}") + ": ", str(caught.value))
    assert re.search(allowed, str(caught.value))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_retries": -1}, r"retry_kwargs\['max_retries'\] is -1: .* None for the task's own"),
        ({"max_retries": "x"}, r"retry_kwargs\['max_retries'\] is 'x': give a whole number"),
        ({"countdown": -1}, r"retry_kwargs\['countdown'\] is -1: give a number of seconds"),
        ({"countdown": "x"}, r"retry_kwargs\['countdown'\] is 'x': give a number of seconds"),
        ({"throw": False}, r"retry_kwargs is {'throw': False}: known are max_retries and countd"),
        ({1: 2}, r"retry_kwargs is {1: 2}: known are max_retries and countdown"),
    ],
)
def test_bad_retry_kwargs_are_refused(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        shared_task(retry_kwargs=given)


@pytest.mark.parametrize("nothing", [None, {}])
def test_retry_kwargs_may_be_left_empty(nothing):
    assert task_options({"retry_kwargs": nothing}).retry_kwargs == {}


def test_retry_kwargs_are_copied():
    given = {"countdown": 5}
    options = task_options({"retry_kwargs": given})
    given["countdown"] = -1
    assert options.retry_kwargs == {"countdown": 5}


@pytest.mark.parametrize(("given", "base"), [(True, 1), (False, 0), (None, 0), (3, 3), (0.5, 0.5)])
def test_backoff_is_true_or_a_base(given, base):
    assert task_options({"retry_backoff": given}).retry_backoff == base


@pytest.mark.parametrize(
    "given", [KeyError, (KeyError,), [KeyError], {KeyError}, frozenset([KeyError])]
)
def test_exceptions_become_a_tuple(given):
    options = task_options({"autoretry_for": given, "dont_autoretry_for": given})
    assert options.autoretry_for == options.dont_autoretry_for == (KeyError,)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        *(("7 days", 7 * DAY), ("1 day", DAY), (" 2weeks ", 14 * DAY), ("12 hours", DAY / 2)),
        *(("90 minutes", 5400), ("1 second", 1), (timedelta(days=7), 7 * DAY), (3600, 3600)),
        (False, 0),
    ],
)
def test_a_lifetime_is_kept_in_seconds(given, seconds):
    assert task_options({"keep_finished": given}).keep_finished == seconds


def test_soft_limit_must_be_below_the_hard_one():
    assert task_options({"soft_time_limit": 5, "time_limit": 6}).soft_time_limit == 5
    with pytest.raises(ValueError, match="soft_time_limit is 7: it must be below time_limit"):
        task_options({"soft_time_limit": 7, "time_limit": 6})


def test_equal_limits_are_accepted():
    """As in Celery. The soft one may come first, or never."""
    options = task_options({"soft_time_limit": 6, "time_limit": 6})
    assert (options.soft_time_limit, options.time_limit) == (6, 6)


@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"max_retries"}))
def test_option_that_is_none_was_not_given(name):
    assert task_options({name: None}) == TaskOptions()


def test_max_retries_of_none_is_no_limit():
    assert task_options({"max_retries": None}).max_retries is None


def test_unknown_option_is_named_with_those_that_are_known():
    with pytest.raises(TypeError) as caught:
        task_options({"prioritty": 5})
    assert "unknown task option 'prioritty'; known are atomic, autoretry_for, bind" in str(
        caught.value
    )


def test_options_cannot_be_changed_later():
    with pytest.raises(dataclasses.FrozenInstanceError):
        task_options({}).priority = 5
