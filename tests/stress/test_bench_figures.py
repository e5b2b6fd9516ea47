"""The bench's arithmetic: from samples to figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stress.bench import figures
from stress.bench.counter import Counter
from stress.bench.figures import Spread, TooFewSamples


def test_the_steady_rate_leaves_out_a_slow_start_and_a_slow_end() -> None:
    start = [(second, second) for second in range(5)]  # 1 a second
    middle = [(4 + step, 4 + 100 * step) for step in range(1, 11)]  # 100 a second
    end = [(14 + step, 1004 + step) for step in range(1, 6)]
    assert figures.steady_rate([*start, *middle, *end]) == pytest.approx(100)


def test_the_steady_rate_looks_between_samples_where_batches_make_steps() -> None:
    # 100 a second, seen only at the third and at the ninth second.
    assert figures.steady_rate([(0, 1), (3, 300), (9, 900), (10, 1000)]) == pytest.approx(
        100, rel=0.01
    )


@pytest.mark.parametrize("samples", [[], [(0.0, 0), (1.0, 0)], [(0.0, 50)]])
def test_no_rate_is_made_of_nothing(samples: list[figures.Sample]) -> None:
    with pytest.raises(TooFewSamples):
        figures.steady_rate(samples)


def test_a_rate_between_two_moments() -> None:
    samples = [(0.0, 0), (10.0, 1000), (20.0, 1100)]
    assert figures.rate_between(samples, 0, 10) == pytest.approx(100)
    assert figures.rate_between(samples, 10, 20) == pytest.approx(10)
    assert figures.rate_between(samples, 5, 15) == pytest.approx(55)


def test_the_time_line_has_a_rate_for_each_second() -> None:
    assert figures.time_line([(0.0, 0), (2.0, 20), (3.0, 21)]) == pytest.approx([10, 10, 1])


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (50, 50), (95, 95), (99, 99), (100, 100)]
)
def test_percentiles_are_values_that_occurred(percent: float, expected: int) -> None:
    assert figures.percentile(list(range(100, 0, -1)), percent) == expected


def test_a_spread_is_the_middle_the_lowest_and_the_highest() -> None:
    assert Spread.of([3, 1, 2, 10]) == Spread(2.5, 1, 10)


def test_ratios_are_taken_round_by_round_where_both_were_measured() -> None:
    assert figures.ratios([10.0, None, 30.0, 8.0], [20.0, 1.0, 10.0, None]) == [0.5, 3.0]


def test_a_counter_sums_what_processes_and_threads_add(tmp_path: Path) -> None:
    path = tmp_path / "counter"
    counter = Counter(path)
    counter.add(4)
    counter.add()
    program = f"from stress.bench.counter import Counter; Counter({str(path)!r}).add(2)"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert counter.total() == 7
    counter.clear()
    assert counter.total() == 0
