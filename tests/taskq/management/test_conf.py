"""The TASKQ setting: every key is checked, and each message names key, value and mend."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from taskq import conf

NAN, INF = float("nan"), float("inf")


def test_defaults():
    assert conf.problems({}) == []
    assert (
        conf.Settings(
            lease=30,
            heartbeat=10,
            poll=1,
            drain_timeout=25,
            concurrency=None,
            max_losses=3,
            max_payload=262144,
            serializer="json",
            unknown_task_ttl=86400,
            result_ttl=86400,
            failed_ttl=None,
            keep_finished={},
            idempotency_ttl=86400,
            time_limit=None,
            soft_time_limit=None,
            cancel_grace=10,
            max_tasks_per_child=None,
            max_memory_per_child=None,
            metrics_port=None,
            metrics_host="127.0.0.1",
            metrics_token=None,
            listen=True,
            imports=(),
            schedule={},
        )
        == conf.Settings()
    )


SECONDS = [0.001, 1, 2.5, 3600, 10**10]
COUNTS = [None, 1, 8, 10**6]
GOOD = {
    "LEASE": [30, 31.5, 86_400],
    "HEARTBEAT": [0.001, 1, 2.5, 10],
    "POLL": SECONDS,
    "DRAIN_TIMEOUT": [0, 0.5, *SECONDS],
    "CONCURRENCY": COUNTS,
    "MAX_LOSSES": [1, 3, 1000],
    "MAX_PAYLOAD": [1, 262144, 10**9],
    "SERIALIZER": ["json", "pickle"],
    "UNKNOWN_TASK_TTL": SECONDS,
    "RESULT_TTL": [None, *SECONDS],
    "STATISTICS": [True, False],
    "MINUTES_TTL": [None, 21_600, 1e9],
    "HOURS_TTL": [None, *SECONDS],
    "RECENT_RUNS": [0, 1, 10_000],
    "FAILED_TTL": [None, *SECONDS],
    "KEEP_FINISHED": [{}, {"reports": "7 days", "mail": 60.0, "sms": timedelta(hours=1)}],
    "IDEMPOTENCY_TTL": [None, *SECONDS],
    "LOSS_TTL": [None, *SECONDS],
    "TIME_LIMIT": [None, *SECONDS],
    "SOFT_TIME_LIMIT": [None, *SECONDS],
    "CANCEL_GRACE": [0, 0.5, *SECONDS],
    "MAX_TASKS_PER_CHILD": COUNTS,
    "MAX_MEMORY_PER_CHILD": COUNTS,
    "METRICS_PORT": [None, 0, 1, 9808, 65535],
    "METRICS_HOST": ["127.0.0.1", "0.0.0.0", "::1", "pool.example.com"],
    "METRICS_TOKEN": [None, "0123456789abcdef"],
    "LISTEN": [True, False, "direct"],
    "IMPORTS": [[], (), ["shop.jobs"], ("shop.jobs", "shop.views")],
    "CONTEXT": [{}, {"tenant": "taskq.contrib.tenants"}],
    "SCHEDULE": [{}, {"nightly": {}}],
    "CELERY_ALIAS": [True, False],
}
NO_SECONDS = [0, -1, -0.5, NAN, INF, -INF, 10**11, 10**400, "5", True, [5], {}]
NO_COUNTS = [0, -1, 1.0, 2.5, "8", True, [8]]
POSITIVE = "give a positive number of seconds"
BAD = {
    "LEASE": ([*NO_SECONDS, None, 0.5, 86_401], "give a number of seconds from 1 to 86400"),
    "HEARTBEAT": ([*NO_SECONDS, None], POSITIVE),
    "POLL": ([*NO_SECONDS, None], POSITIVE),
    "DRAIN_TIMEOUT": ([*NO_SECONDS[1:], None], "give a number of seconds from 0"),
    "CONCURRENCY": (NO_COUNTS, "give a whole number from 1, or None"),
    "MAX_LOSSES": ([*NO_COUNTS, None, 1001], "give a whole number from 1 to 1000"),
    "MAX_PAYLOAD": ([*NO_COUNTS, None], "give a number of bytes from 1"),
    "SERIALIZER": (["yaml", "", None, True, ["json"]], 'use "json" or "pickle"'),
    "UNKNOWN_TASK_TTL": ([*NO_SECONDS, None], POSITIVE),
    "RESULT_TTL": (NO_SECONDS, f"{POSITIVE}, or None to keep them"),
    "STATISTICS": ([None, 1, "yes"], "use True or False"),
    "MINUTES_TTL": (
        [*NO_SECONDS, 21_599],
        "give at least 21600 seconds, as hours are made of minutes, or None",
    ),
    "HOURS_TTL": (NO_SECONDS, f"{POSITIVE}, or None to keep them"),
    "RECENT_RUNS": ([None, -1, 0.5, True, 10_001], "give a whole number from 0 to 10000"),
    "FAILED_TTL": (NO_SECONDS, f"{POSITIVE}, or None to keep them"),
    "KEEP_FINISHED": (
        [
            *(None, "7 days", 7, ["reports"], {"reports": "7 dys"}, {"reports": None}, {"a": 0}),
            *({1: "7 days"}, {"": "7 days"}, {"mail*": "7 days"}, {"reports": "367 days"}),
        ],
        'give a dict of lifetimes by the name of a queue, such as {"reports": "7 days"}; a '
        "lifetime is a text",
    ),
    "IDEMPOTENCY_TTL": (NO_SECONDS, f"{POSITIVE}, or None to keep them"),
    "LOSS_TTL": (NO_SECONDS, f"{POSITIVE}, or None to keep them"),
    "TIME_LIMIT": (NO_SECONDS, f"{POSITIVE}, or None for no limit"),
    "SOFT_TIME_LIMIT": (NO_SECONDS, f"{POSITIVE}, or None for no limit"),
    "CANCEL_GRACE": ([*NO_SECONDS[1:], None], "give a number of seconds from 0"),
    "MAX_TASKS_PER_CHILD": (NO_COUNTS, "give a whole number from 1, or None"),
    "MAX_MEMORY_PER_CHILD": (NO_COUNTS, "give a whole number from 1, or None"),
    "METRICS_PORT": ([-1, 65536, 80.0, "80", True, False, [80]], "give a port from 0 to 65535"),
    "METRICS_HOST": ([None, "", "  ", 1, b"::1"], "give an address"),
    "METRICS_TOKEN": (["", "0123456789abcde", 10**16], "give a secret of at least 16 characters"),
    "LISTEN": ([None, 1, 0.5, ["direct"]], "use True, False, or the alias in DATABASES"),
    "IMPORTS": ([None, 1, "shop.jobs", [1], [""], ["."], {}], "give a list of modules, such as"),
    "CONTEXT": (
        [None, 1, [], "a", {"a": 1}, {1: "a"}, {"": "a"}],
        "give a dict of modules by header",
    ),
    "SCHEDULE": ([None, 1, [], "nightly"], "give a dict of entries by name"),
    "CELERY_ALIAS": ([None, 1, "yes"], "use True or False"),
}


def test_every_key_is_tried():
    assert GOOD.keys() == BAD.keys() == conf.KEYS.keys()


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in GOOD.items() for v in values])
def test_good_value_is_used(settings, key, value):
    settings.TASKQ = {key: value}
    assert conf.problems(settings.TASKQ) == []
    assert getattr(conf.settings(), key.lower()) == value


@pytest.mark.parametrize(
    ("key", "value", "mend"),
    [(key, value, mend) for key, (values, mend) in BAD.items() for value in values],
)
def test_bad_value_is_refused_with_key_value_and_mend(settings, key, value, mend):
    (problem,) = conf.problems({key: value})
    assert str(problem).startswith(f"TASKQ[{key!r}] is {value!r}: {mend}")
    settings.TASKQ = {key: value}
    with pytest.raises(ImproperlyConfigured, match=re.escape(str(problem))):
        conf.settings()


@pytest.mark.parametrize("key", ["LEASES", "lease", "", None, 5, ("LEASE",)])
def test_unknown_key_is_refused_with_those_that_are_known(key):
    (problem,) = conf.problems({key: 30})
    assert problem.key == key
    assert "is 30: no such key; " in str(problem)
    assert "known are LEASE, HEARTBEAT, POLL, " in str(problem)


@pytest.mark.parametrize("given", [None, [], "LEASE", 30, [("LEASE", 30)]])
def test_setting_that_is_no_dict_is_refused(settings, given):
    (problem,) = conf.problems(given)
    assert str(problem) == f"TASKQ is {given!r}: give a dict of settings"
    settings.TASKQ = given
    with pytest.raises(ImproperlyConfigured, match="give a dict of settings"):
        conf.settings()


def test_all_problems_are_named_at_once(settings):
    settings.TASKQ = {"LEASE": -1, "POLLS": 2, "MAX_LOSSES": 0}
    assert [problem.key for problem in conf.problems(settings.TASKQ)] == list(settings.TASKQ)
    with pytest.raises(ImproperlyConfigured, match=r"'LEASE'.*'POLLS'.*'MAX_LOSSES'"):
        conf.settings()


# Keys that contradict each other


@pytest.mark.parametrize(
    ("given", "key", "mend"),
    [
        ({"HEARTBEAT": 11}, "HEARTBEAT", "lower HEARTBEAT to 10 or raise LEASE to 33"),
        ({"LEASE": 29}, "LEASE", "lower HEARTBEAT to 9.6 or raise LEASE to 30"),
        (
            {"LEASE": 200, "HEARTBEAT": 67},
            "HEARTBEAT",
            "lower HEARTBEAT to 66.6 or raise LEASE to 201",
        ),
        ({"LEASE": 1, "HEARTBEAT": 1}, "HEARTBEAT", "lower HEARTBEAT to 0.3 or raise LEASE to 3"),
        ({"HEARTBEAT": 10.1}, "HEARTBEAT", "lower HEARTBEAT to 10 or raise LEASE to 31"),
    ],
)
def test_heartbeat_longer_than_a_third_of_the_lease_is_refused(given, key, mend):
    (problem,) = conf.problems(given)
    assert (problem.key, problem.value) == (key, given[key])
    assert "must be at most a third of the lease" in str(problem)
    assert str(problem).endswith(mend)
    heartbeat, lease = map(
        float, re.findall(r"HEARTBEAT to ([\d.]+) or raise LEASE to ([\d.]+)", mend)[0]
    )
    assert conf.problems({**given, "HEARTBEAT": heartbeat}) == []
    assert conf.problems({**given, "LEASE": lease}) == []


@pytest.mark.parametrize(
    ("lease", "heartbeat"), [(30, 10), (1.2, 0.4), (0.3 * 7, 0.1 * 7), (100, 33)]
)
def test_heartbeat_of_a_third_is_fine(lease, heartbeat):
    assert conf.problems({"LEASE": lease, "HEARTBEAT": heartbeat}) == []


def test_soft_limit_must_be_below_the_hard_one_or_equal():
    (problem,) = conf.problems({"TIME_LIMIT": 60, "SOFT_TIME_LIMIT": 61})
    assert str(problem).startswith("TASKQ['SOFT_TIME_LIMIT'] is 61: it must be below TIME_LIMIT")
    for soft in (59, 60):
        assert conf.problems({"TIME_LIMIT": 60, "SOFT_TIME_LIMIT": soft}) == []


# Reading them


def test_settings_are_read_anew_when_they_change():
    before = conf.settings()
    with override_settings(TASKQ={"MAX_LOSSES": 5}):
        assert conf.settings().max_losses == 5
        with override_settings(TASKQ={"MAX_LOSSES": 6}):
            assert conf.settings().max_losses == 6
        assert conf.settings().max_losses == 5
    assert conf.settings() == before


def test_settings_are_read_once(settings):
    settings.TASKQ = {}
    assert conf.settings() is conf.settings()


def test_command_line_wins_over_the_settings(settings):
    settings.TASKQ = {"LEASE": 60, "POLL": 2}
    got = conf.overridden({"LEASE": 90, "CONCURRENCY": 4})
    assert (got.lease, got.poll, got.concurrency) == (90, 2, 4)
    assert conf.settings().lease == 60


def test_command_line_is_checked_like_the_settings(settings):
    settings.TASKQ = {}
    with pytest.raises(
        ImproperlyConfigured, match=r"TASKQ\['POLL'\] is -1: give a positive number"
    ):
        conf.overridden({"POLL": -1})
    with pytest.raises(ImproperlyConfigured, match="a third of the lease"):
        conf.overridden({"LEASE": 5})
