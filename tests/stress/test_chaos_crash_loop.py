"""How often a pool may fork in a crash loop."""

import random
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from pool.backoff import Backoff
from stress.chaos.faults.processes import MOST_FORKS, RESTART, SUPPORT, CrashLoop
from stress.chaos.options import Options

WORKERS = 4
MOST = MOST_FORKS * (WORKERS + SUPPORT)


def crash_loop(**forks):
    """The fault, where each of these pools has forked so often."""
    pools = {int(name.removeprefix("pool_")): count for name, count in forks.items()}

    @contextmanager
    def broken_at_boot():
        yield lambda: Counter(pools)

    nothing = {name: lambda *_, **__: [] for name in ("expect", "stop", "children", "wait_up")}
    target = SimpleNamespace(sessions=list(pools), broken_at_boot=broken_at_boot, **nothing)
    options = Options(concurrency=WORKERS)
    scene = SimpleNamespace(options=options, pause=lambda _: None, kill=lambda *_, **__: None)
    CrashLoop().inject(scene, target, random.Random(0))


def test_each_pool_of_a_loop_may_fork_as_if_it_were_the_only_one():
    crash_loop(pool_1=MOST, pool_2=MOST, pool_3=MOST)


def test_a_pool_that_forks_more_often_waits_too_little():
    with pytest.raises(AssertionError, match=f"pool 2 forked {MOST + 1} times .* {MOST} are"):
        crash_loop(pool_1=1, pool_2=MOST + 1)


def test_a_seat_whose_waits_grow_as_they_should_stays_below_it():
    backoff = Backoff(rand=lambda: 1.0)  # the shortest waits
    forks, at = 1, 0.0
    while (at := at + backoff.next()) < CrashLoop().seconds(Options()) - RESTART:
        forks += 1
    assert forks < MOST_FORKS  # one more as the pool ends
