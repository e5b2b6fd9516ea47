"""One clock for all processes of a pool."""

import subprocess
import sys
import time

import pytest

from pool import clock, kernel


def test_clock_is_the_same_in_every_process():
    before = clock.now()
    program = "from pool import clock; print(clock.now())"
    there = int(subprocess.check_output([sys.executable, "-c", program]))
    assert before < there < clock.now()


def test_clock_counts_nanoseconds():
    began, before = time.monotonic(), clock.now()
    time.sleep(0.05)
    passed = (clock.now() - before) / clock.SECOND
    assert 0.05 <= passed <= time.monotonic() - began


def test_clock_does_not_depend_on_the_time_of_day(monkeypatch):
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert clock.now() >= before


@pytest.mark.skipif(not kernel.LINUX, reason="only Linux has a monotonic clock of all time")
def test_clock_runs_while_the_machine_sleeps():
    assert clock._CLOCK == time.CLOCK_BOOTTIME


def test_seconds_become_nanoseconds():
    assert clock.nanoseconds(1.5) == 1_500_000_000
    assert isinstance(clock.nanoseconds(2), int)
