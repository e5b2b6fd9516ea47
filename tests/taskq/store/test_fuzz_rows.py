"""Rows of any values that the columns can hold: an innocent task behind them starts at once, no
process dies, and the admin's lists open."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from django.db import DatabaseError, DataError, connection
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stress.rig.pools import wait_until
from tests.conftest import SLACK
from tests.project.lab import tasks
from tests.project.native import tasks as native

#: Rows in front of each innocent task.
ROWS = 60
SCHEDULES = [f"schedule {number}" for number in range(4)]
HARMLESS = [tasks.noop.name, tasks.five.name, tasks.add.name, tasks.quick.name, tasks.tick.name]

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
payloads = st.one_of(
    st.sampled_from(["[[],{}]", '[["a"],{}]', "[[1, 2],{}]", "", "pickle:", '[["a"', "{}"]), texts
)
small, whole = st.integers(-(2**15), 2**15 - 1), st.integers(-(2**31), 2**31 - 1)
large = st.integers(-(2**63), 2**63 - 1)
# SQLite gives no id any more once a table has had the last one.
ids = large if connection.vendor == "postgresql" else st.integers(-(2**63), 2**62)
moments = st.one_of(
    st.sampled_from(["infinity", "-infinity", "0044-03-15 BC", "1970-01-01 00:00:00+00"]),
    st.sampled_from(["294276-12-31 23:59:59+00", "0001-01-01 00:00:00+00", "9999-12-31 23:59+00"]),
    st.datetimes().map(lambda moment: f"{moment}+00"),
)
names = st.one_of(st.sampled_from([*HARMLESS, native.add.name]), texts)
queues = st.one_of(st.just("default"), texts)


def or_null(values):
    return st.one_of(st.none(), values)


TASK = st.fixed_dictionaries(
    {"name": names},
    optional={
        "id": ids,
        "payload": payloads,
        "queue": queues,
        "priority": small,
        "state": st.one_of(st.sampled_from([0, 0, 0, 1, 2]), small),
        "created_at": moments,
        "execute_at": moments,
        "expires_at": or_null(moments),
        "retries": whole,
        "worker_id": or_null(large),
        "attempt": whole,
        "started_at": or_null(moments),
        "losses": small,
        "max_losses": small,
        "isolated": st.booleans(),
        "unknown_since": or_null(moments),
        "error": texts,
        "traceback": texts,
        "failed_at": or_null(moments),
        "scheduled_at": or_null(moments),
        "run_after": or_null(moments),
        "history": or_null(texts),
        "cancelled_at": or_null(moments),
        "progress": or_null(texts),
        "unique_key": or_null(texts),
        "unique_until": or_null(texts.map(lambda text: text[:6])),
        "unique_place": or_null(small),
    },
).map(lambda row: ("taskq_task", row))
WORKER = st.fixed_dictionaries(
    {
        "pool": texts,
        "name": texts,
        "host": texts,
        "pid": whole,
        "lease_expires_at": moments,
        "started_at": moments,
        "listens": st.booleans(),
    },
    optional={
        "id": ids,
        "end_cause": or_null(texts),
        "end_blamed": or_null(large),
        "end_charge": st.booleans(),
        "end_done": or_null(st.one_of(texts, st.just("[[1, 1], [2, 1]]"))),
    },
).map(lambda row: ("taskq_worker", row))
SCHEDULE = st.fixed_dictionaries(
    {
        "name": st.one_of(st.sampled_from(SCHEDULES), texts),
        "task": names,
        "schedule": st.one_of(st.sampled_from(["* * * * *", "every 1 s", "0 0 30 2 *"]), texts),
        "time_zone": st.one_of(st.sampled_from(["UTC", "America", "Europe/Berlin"]), texts),
        # Not "all": that sends 20,000 tasks of each, before the innocent.
        "catch_up": st.sampled_from(["once", "skip", "", "never"]),
        "payload": payloads,
        "queue": queues,
        "priority": small,
        "max_losses": small,
        "next_at": or_null(moments),
        "paused": st.booleans(),
    },
    optional={"last_at": or_null(moments)},
).map(lambda row: ("taskq_schedule", row))
rows = st.lists(st.one_of(TASK, TASK, TASK, WORKER, SCHEDULE), min_size=ROWS, max_size=ROWS)


def write(table, row):
    """Write a row, in place of a schedule of that name, unless a constraint is against it."""
    marks = ", ".join(["%s"] * len(row))
    with connection.cursor() as cursor:
        if table == "taskq_schedule":
            cursor.execute("DELETE FROM taskq_schedule WHERE name = %s", [row["name"]])
        try:
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values())
            )
        except (DatabaseError, DataError, OverflowError):
            return False
    return True


def clear(pool):
    """What nobody has claimed, and the workers of no pool."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM taskq_task WHERE state <> 1")
        cursor.execute("DELETE FROM taskq_worker WHERE pool NOT LIKE %s", [f"%:{pool.pid}"])


@pytest.fixture
def fuzz(start_pool, runs, root):
    schedule = {name: {"task": tasks.tick.name, "schedule": "0 * * * *"} for name in SCHEDULES}
    pool = start_pool("-c", 2, TASKQ_SCHEDULE=json.dumps(schedule))
    numbers = itertools.count()
    worst = [0.0]

    def behind(those):
        written = sum(write(*each) for each in those)
        key, began = f"innocent {next(numbers)}", time.monotonic()
        tasks.quick.delay(key)
        wait_until(lambda: runs("start", key), seconds=SLACK)
        worst[0] = max(worst[0], time.monotonic() - began)
        assert written > ROWS / 2
        for model in ("task", "worker", "schedule"):
            assert root.get(f"/admin/taskq/{model}/").status_code == 200
        log = pool.log()
        assert "died" not in log
        assert "does not answer" not in log
        clear(pool)

    yield behind
    print(f"the slowest innocent of {next(numbers)} started after {worst[0]:.2f} s")


ANY = settings(
    deadline=None,
    database=None,
    # A failure takes as long as the innocent is waited for: too long to try again and again.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def run(fuzz, batches):
    given(rows)(settings(ANY, max_examples=batches)(lambda those: fuzz(those)))()


def test_rows_of_any_values_stop_nobody(fuzz):
    run(fuzz, batches=6)


@pytest.mark.slow
def test_ten_thousand_rows_of_any_values_stop_nobody(fuzz):
    run(fuzz, batches=10_000 // ROWS + 1)
