"""What is said of tasks that succeed, at the default log level."""

from __future__ import annotations

import logging
import re

import pytest

from pool import clock
from stress.rig.pools import wait_until
from taskq.events import task_succeeded
from taskq.worker import tally as tallies
from taskq.worker.tally import Tally
from tests.project.lab import tasks


@pytest.fixture
def said(caplog):
    """The lines at INFO."""
    caplog.set_level(logging.INFO, "taskq")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def moment(monkeypatch):
    """A clock that stands, and is moved by adding seconds."""
    now = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: now[0])

    def later(seconds):
        now[0] += clock.nanoseconds(seconds)

    return later


def test_quick_runs_are_counted_and_said_with_their_median(said):
    tally = Tally("worker 3")
    for number in range(12_431):
        tally.add(number, "shop.tasks.ping", [0.0002 if number % 3 else 0.5])
    tally.add(7, "shop.tasks.mail", [0.034])
    tally.tell()
    assert said() == [
        "worker 3 ran shop.tasks.ping 12,431 times, median 0.2 ms; shop.tasks.mail #7 in 34 ms"
    ]
    tally.tell()
    assert len(said()) == 1


def test_the_median_is_of_all_the_runs_however_many_there_are(caplog):
    caplog.set_level(logging.INFO, "taskq")
    tally = Tally("worker 1")
    for number in range(100_000):
        tally.add(number, "a", [number / 100_000])
    assert len(tally._runs["a"].seconds) < 512
    tally.tell()
    (record,) = caplog.records
    assert record.event == "tasks.succeeded"
    assert record.fields["runs"]["a"]["count"] == 100_000
    assert 0.49 < record.fields["runs"]["a"]["median"] < 0.51


def test_a_line_is_due_at_once_and_then_once_in_ten_seconds(said, moment):
    tally = Tally("worker 1")
    assert tally.wait() == float("inf")
    for expected in (1, 1, 2):
        tally.add(1, "a", [0.001])
        tally.tell_when_due()
        assert len(said()) == expected
        if expected == 1:
            moment(5.5)
    assert said()[1] == "worker 1 ran a 2 times, median 1.0 ms"
    tally.add(1, "a", [0.001])
    assert tally.wait() == pytest.approx(10.0)
    moment(10)
    assert tally.wait() == 0


def test_a_line_names_ten_tasks_and_counts_the_others(said):
    tally = Tally("worker 1")
    for number in range(30):
        for _ in range(number + 1):
            tally.add(number, f"name{number:02}", [0.001])
    tally.tell()
    (line,) = said()
    assert line.count("times, median") == tallies.NAMES
    assert line.startswith("worker 1 ran name29 30 times, median 1.0 ms; name28")
    assert line.endswith(f"; other tasks {sum(range(1, 21))} times")


def test_a_slow_success_is_a_line_of_its_own_and_a_quick_one_is_none(said):
    task_succeeded(12, "shop.tasks.report", 3.21, None)
    task_succeeded(13, "shop.tasks.ping", 0.9, None)
    assert said() == ["ran shop.tasks.report #12 in 3.2 s"]


def test_above_info_nothing_is_said(caplog):
    caplog.set_level(logging.WARNING, "taskq")
    tally = Tally("worker 1")
    tally.add(1, "a", [0.1])
    tally.tell()
    task_succeeded(12, "shop.tasks.report", 3.2, None)
    assert caplog.records == []


@pytest.mark.sqlite  # to run it on one is enough
@pytest.mark.sqlite  # to run it on one is enough
def test_a_pool_says_what_it_ran_while_it_idles_and_when_it_stops(start_pool, drained):
    pool = start_pool("-c", 1)
    slow = tasks.nap.delay("slow", 1.2)
    pool.wait_for_log(f"ran tests.project.lab.tasks.nap #{slow.id.int} in ")
    first = tasks.quick.delay("first")
    pool.wait_for_log(f"worker 1 ran tests.project.lab.tasks.quick #{first.id.int} in ")
    tasks.quick.delay_many([("a",), ("b",), ("c",)])
    pool.wait_for_log("worker 1 ran tests.project.lab.tasks.quick 3 times, median ")
    tasks.quick.delay("last")
    drained()
    assert pool.stop() == 0
    assert len(re.findall(r"worker 1 ran \S+ #\d+ in ", pool.log())) == 2


@pytest.mark.sqlite  # to run it on one is enough
def test_a_busy_pool_writes_few_lines(start_pool, drained):
    pool = start_pool("-c", 1)
    began = clock.now()
    tasks.quick.delay_many([(number,) for number in range(1000)])
    drained()
    lines = [line for line in pool.log().splitlines() if " ran " in line]
    assert 1 <= len(lines) <= 8 + (clock.now() - began) / clock.SECOND / tallies.EVERY
    tasks.fail.delay("fails")
    wait_until(lambda: "failed" in pool.log())
    assert "ran tests.project.lab.tasks.fail" not in pool.log()
