"""What a pool counts of its runs, as Prometheus sees it."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pool import Scoreboard
from stress.rig.pools import wait_until
from taskq.metrics.pool import OTHERS, PoolCollector
from taskq.task.measures import BOUNDS, COLUMNS, RAN, RUN, WAIT, WAITED, key
from tests.project.lab import tasks
from tests.taskq.metrics.scraping import families

LAB = "tests.project.lab.tasks."
PORT = ("--metrics-port", 0)


def ends(pool):
    """How many runs ended in which way: {("quick", "done"): 3}."""
    found = Counter()
    for each in families(pool)["taskq_runs"].samples:
        found[each.labels["name"].removeprefix(LAB), each.labels["end"]] += each.value
    return {kind: count for kind, count in found.items() if count}


def samples(scoreboard):
    registry = CollectorRegistry()
    registry.register(PoolCollector(scoreboard))
    return [
        each
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for each in family.samples
    ]


@pytest.mark.django_db(transaction=True)
def test_each_run_is_counted_once_by_how_it_ended(start_pool, runs, drained):
    for number in range(25):
        tasks.quick.apply_async((number,), queue="mail" if number % 5 else "default")
    tasks.fail.delay("fails")
    tasks.quick_or_fatal.delay("dies", [])
    pool = start_pool("-c", 2, *PORT)
    drained()
    fatal = {("quick_or_fatal", "lost"): 1, ("quick_or_fatal", "done"): 1}
    wanted = {("quick", "done"): 25, ("fail", "failed"): 1, **fatal}
    wait_until(lambda: ends(pool) == wanted, what=f"{wanted} are counted")
    by_queue = {
        each.labels["queue"]: each.value
        for each in families(pool)["taskq_runs"].samples
        if each.labels["name"] == f"{LAB}quick" and each.labels["end"] == "done"
    }
    assert by_queue == {"mail": 20, "default": 5}


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_replaced_goes_on_with_the_counters(start_pool, drained):
    pool = start_pool("-c", 1, *PORT)
    for round in (1, 2, 3):
        for number in range(10):
            tasks.quick.delay(number)
        drained()
        wait_until(
            lambda round=round: ends(pool) == {("quick", "done"): 10.0 * round},
            what=f"{10 * round} runs are counted",
        )
        (worker,) = pool.children("worker").values()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda old=worker: set(pool.children("worker").values()) - {old})


@pytest.mark.django_db(transaction=True)
def test_times_are_those_of_the_runs(start_pool, runs, drained):
    for _ in range(3):
        tasks.nap.delay("a", 0.3)
    time.sleep(0.5)  # they wait for at least so long
    pool = start_pool("-c", 1, *PORT)
    drained()
    wait_until(lambda: ends(pool) == {("nap", "done"): 3.0})
    found = {
        (each.name, each.labels.get("le")): each.value
        for name in ("taskq_run_seconds", "taskq_wait_seconds")
        for each in families(pool)[name].samples
    }
    assert found["taskq_run_seconds_count", None] == 3
    assert found["taskq_run_seconds_bucket", "0.25"] == 0
    assert found["taskq_run_seconds_bucket", "+Inf"] == 3
    assert 0.9 < found["taskq_run_seconds_sum", None] < 60
    assert found["taskq_wait_seconds_bucket", "0.25"] == 0
    assert found["taskq_wait_seconds_sum", None] > 1.5


def test_buckets_add_up_and_have_the_bounds_in_seconds():
    scoreboard = Scoreboard(2, columns=COLUMNS)
    row = [0] * COLUMNS
    row[0], row[RAN], row[WAITED] = 6, 7_500_000, 500_000
    row[RUN] = [1, 2, *[0] * (len(BOUNDS) - 2), 3]
    row[WAIT] = [6, *[0] * len(BOUNDS)]
    for slot in scoreboard.slots:
        slot.counters.add(slot.counters.row(key("shop.send", "mail")), row)
    found = {
        (each.name, each.labels.get("le")): each.value
        for each in samples(scoreboard)
        if each.labels.get("queue") == "mail"
    }
    assert [
        value for (name, le), value in found.items() if le and name.startswith("taskq_run")
    ] == [2, *[6] * (len(BOUNDS) - 1), 12]
    assert {float(le) for name, le in found if le} == {*BOUNDS, float("inf")}
    assert found["taskq_run_seconds_sum", None] == 15
    assert found["taskq_wait_seconds_count", None] == 12


def test_names_with_odd_characters_come_back_whole_and_others_are_together():
    scoreboard = Scoreboard(1, columns=COLUMNS)
    counters = scoreboard.slots[0].counters
    odd = 'a"b\\c\nd{}=ä,🦆'
    one = [1, *[0] * (COLUMNS - 1)]
    counters.add(counters.row(key(odd, "q")), one)
    for number in range(600):
        counters.add(counters.row(key(f"name{number}", "q")), one)
    found = {
        (each.labels["name"], each.labels["queue"]): each.value
        for each in samples(scoreboard)
        if each.name == "taskq_runs_total" and each.labels["end"] == "done"
    }
    assert found[odd, "q"] == 1
    assert found[OTHERS, OTHERS] > 1
    assert sum(found.values()) == 601
    assert len(found) <= 512
