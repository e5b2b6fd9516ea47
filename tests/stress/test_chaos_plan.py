"""The plan of a run of chaos is a function of the seed and the options."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from stress.chaos.faults import FAULTS, choose
from stress.chaos.faults.base import Lane
from stress.chaos.options import Options
from stress.chaos.plan import plan

OPTIONS = Options(seconds=60, seed=7, pools=2)
#: As on a machine that allows all of them.
ALL = [fault for fault in FAULTS.values() if not fault.alone]


def test_the_same_seed_and_options_give_the_same_plan() -> None:
    assert plan(OPTIONS, ALL) == plan(Options(seconds=60, seed=7, pools=2), ALL)


def test_another_seed_gives_another_plan() -> None:
    plans = [plan(replace(OPTIONS, seed=seed), ALL).entries for seed in range(5)]
    assert all(one != other for one, other in pairwise(plans))
    assert len({entry.seed for entry in plans[0]}) == len(plans[0])


@pytest.mark.parametrize("seed", range(20))
def test_a_minute_with_two_pools_has_room_for_every_fault(seed: int) -> None:
    made = plan(replace(OPTIONS, seed=seed), ALL)
    assert made.left_out == []
    assert {entry.fault for entry in made.entries} == {fault.name for fault in ALL}


@pytest.mark.parametrize("seed", range(5))
def test_the_faults_of_a_lane_come_one_after_another_and_in_time(seed: int) -> None:
    made = plan(replace(OPTIONS, seed=seed), ALL)
    lanes: dict[object, list[tuple[float, float]]] = {}
    for entry in made.entries:
        fault = FAULTS[entry.fault]
        assert (entry.pool is not None) == (fault.lane is Lane.POOL)
        span = (entry.at, entry.at + fault.seconds(OPTIONS))
        lanes.setdefault((fault.lane, entry.pool), []).append(span)
    assert len(lanes) == 4
    for spans in lanes.values():
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
        assert spans[-1][1] <= 60


def test_what_finds_no_room_is_said() -> None:
    made = plan(replace(OPTIONS, seconds=3), ALL)
    assert "pool-freeze" in made.left_out
    assert made.entries


def test_some_faults_only() -> None:
    some = choose(replace(OPTIONS, faults=("worker-kill", "term"))).faults
    made = plan(OPTIONS, some)
    assert {entry.fault for entry in made.entries} == {"worker-kill", "term"}


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"--faults wurker-kill: known are all, worker-kill, .*"):
        choose(replace(OPTIONS, faults=("wurker-kill", "term")))


def test_sqlite_goes_without_the_faults_of_a_server_and_says_why() -> None:
    chosen = choose(replace(OPTIONS, database_url="sqlite:////tmp/x.sqlite3"))
    assert chosen.skipped["database-restart"] == "SQLite has no server to lose"
    assert "worker-kill" in [fault.name for fault in chosen.faults]
    by_name = replace(OPTIONS, database_url="sqlite:////tmp/x.sqlite3", faults=("half-open",))
    with pytest.raises(ValueError, match="--faults half-open: SQLite has no server to lose"):
        choose(by_name)


def test_a_server_that_is_not_ours_is_not_restarted() -> None:
    chosen = choose(replace(OPTIONS, database_url="postgresql://somewhere/else"))
    assert "only an embedded server may be broken" in chosen.skipped["database-restart"]
    assert "half-open" in [fault.name for fault in chosen.faults]


def test_the_documentation_lists_every_fault_with_its_row() -> None:
    listed = {}
    for line in Path("docs/explanation/chaos.md").read_text().splitlines():
        if match := re.match(r"\| (`.*`) \| (\d+) \|", line):
            listed.update(dict.fromkeys(re.findall(r"`([a-z-]+)`", match[1]), int(match[2])))
    assert listed == {fault.name: fault.row for fault in FAULTS.values()}


def test_every_row_of_the_catalog_has_a_fault() -> None:
    assert {fault.row for fault in FAULTS.values()} == set(range(1, 27))
