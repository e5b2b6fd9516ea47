"""Histograms, their percentiles, and a row of counters."""

import random

import pytest

from taskq.task.measures import (
    BOUNDS,
    BUCKETS,
    COLUMNS,
    MOST,
    End,
    Figures,
    amounts,
    histogram,
    key,
    name_and_queue,
    quantile,
    total,
)


def test_each_value_falls_into_the_first_bucket_whose_bound_it_does_not_exceed():
    values = [0.0, 0.0004, 0.0005, 0.0007, 3.0, 3599.0, 3600.0, 1e9]
    counts = histogram(values)
    assert len(counts) == BUCKETS
    assert sum(counts) == len(values)
    assert counts[:3] == [3, 1, 0]
    assert counts[BOUNDS.index(5.0)] == 1
    assert counts[-2:] == [2, 1]
    assert histogram([]) == [0] * BUCKETS


def test_a_histogram_of_many_is_that_of_one_by_one():
    rng = random.Random(7)
    for _ in range(200):
        values = sorted(rng.lognormvariate(-4, 3) for _ in range(rng.randrange(1, 60)))
        one_by_one = [histogram([value]) for value in values]
        assert histogram(values) == [sum(counts) for counts in zip(*one_by_one, strict=True)]


def test_a_percentile_lies_in_the_bucket_of_the_value():
    rng = random.Random(8)
    values = sorted(rng.lognormvariate(-4, 3) for _ in range(5_000))
    counts = histogram(values)
    for share in (0.01, 0.5, 0.95, 0.99):
        exact, found = values[int(share * len(values))], quantile(counts, share)
        near = [0.0, *BOUNDS]
        low = max(bound for bound in near if bound <= exact)
        high = min((bound for bound in near if bound > exact), default=BOUNDS[-1])
        assert low <= found <= high or exact > BOUNDS[-1] == found
    assert quantile([0] * BUCKETS, 0.5) is None
    assert quantile(histogram([1e6]), 0.5) == BOUNDS[-1]


def test_a_row_of_counters_tells_how_runs_ended_and_how_long_they_took():
    ends = [End.DONE, End.DONE, End.RETRIED, End.LOST]
    row = amounts(ends, [0.001, 0.003, 2.0], [0.5, 0.25, -0.1, 1e12])
    assert len(row) == COLUMNS
    figures = Figures.of(row)
    assert (figures.done, figures.failed, figures.retried) == (2, 0, 1)
    assert (figures.lost, figures.cancelled, figures.runs) == (1, 0, 4)
    assert figures.run_seconds == pytest.approx(2.004)
    assert figures.wait_seconds == pytest.approx(0.75 + MOST)
    assert 0.0025 <= figures.run_time(0.5) <= 0.005
    both = total([figures, figures])
    assert (both.done, both.run_seconds, sum(both.run)) == (4, pytest.approx(4.008), 6)


def test_infinite_waits_are_counted_as_the_longest():
    """A row's due time may be -infinity."""
    assert Figures.of(amounts([End.DONE], [0.1], [float("inf")])).wait_seconds == MOST


@pytest.mark.parametrize("name", ["shop.tasks.ping", "ä\udcff", "", "x" * 255])
def test_a_key_tells_its_name_and_queue(name):
    shown = name.encode(errors="replace").decode()
    assert name_and_queue(key(name, "mail")) == (shown, "mail")
