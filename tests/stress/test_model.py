"""The model: the simulation agrees with arithmetic, with itself, and with real pools."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import simpy

from stress.model import check, costs
from stress.model.database import Database
from stress.model.fleet import Plan, simulate
from stress.model.limits import idle, load, most

#: How far the simulation may be off: the real figure by this factor, or the inverse.
THROUGHPUT, UTILIZATION = 1.35, 2.0

SMALL = Plan(hosts=3, workers=5, cores=4, task=0.05, rate=40.0, heartbeat=1.0)


def within(factor, one, other):
    return other / factor <= one <= other * factor


def times(factor, line):
    return costs.Line(factor * line.fixed, factor * line.each)


@pytest.fixture(scope="module")
def recorded_costs():
    return costs.read()


@pytest.mark.parametrize("real", check.recorded(), ids=lambda real: f"task-{real.task:g}s")
def test_it_predicts_what_two_real_pools_did(real, recorded_costs):
    """As recorded with these costs, on one machine; the next test measures both anew."""
    model = real.predicted(recorded_costs)
    assert within(THROUGHPUT, model.done, real.done)
    assert within(UTILIZATION, model.utilization, real.utilization)


@pytest.mark.postgresql
@pytest.mark.skipif("TASKQ_TEST_MODEL" not in os.environ, reason="TASKQ_TEST_MODEL=1 measures anew")
def test_it_predicts_what_two_real_pools_do_here(tmp_path):
    calibration, measured = tmp_path / "costs.json", tmp_path / "measured.json"
    command = [sys.executable, "-m", "stress", "model", "--hosts", "1", "--rate", "1"]
    subprocess.run([*command, "--calibrate", calibration, "--check", measured], check=True)
    here = costs.read(calibration)
    for real in check.recorded(measured):
        model = real.predicted(here)
        assert within(THROUGHPUT, model.done, real.done)
        assert within(UTILIZATION, model.utilization, real.utilization)


def test_a_fleet_without_work_costs_what_arithmetic_says(recorded_costs):
    plan = replace(SMALL, hosts=40, workers=20, rate=0.0)
    simulated = load(plan, recorded_costs, 20).utilization * plan.cores
    assert simulated == pytest.approx(idle(plan, recorded_costs), rel=0.1)


def test_all_that_is_sent_is_done_once(recorded_costs):
    outcome = simulate(SMALL, recorded_costs, 30)
    assert outcome.done == pytest.approx(SMALL.rate, rel=0.15)
    assert outcome.statements["enqueue"] == pytest.approx(outcome.done, rel=0.1)
    assert len(outcome.waits) == pytest.approx(outcome.done * 30, rel=0.1)
    assert outcome.statements["renew"] == pytest.approx(SMALL.hosts / SMALL.heartbeat, rel=0.1)


def test_the_same_seed_gives_the_same_outcome(recorded_costs):
    assert simulate(SMALL, recorded_costs, 5) == simulate(SMALL, recorded_costs, 5)
    other = simulate(replace(SMALL, seed=2), recorded_costs, 5)
    assert other != simulate(SMALL, recorded_costs, 5)


def test_workers_that_are_all_busy_bound_the_throughput(recorded_costs):
    plan = replace(SMALL, task=1.0, rate=None)
    done = simulate(plan, recorded_costs, 30).done
    assert 0.9 * 15 < done <= 15


def test_most_finds_where_the_database_is_full(recorded_costs):
    plan = replace(SMALL, hosts=20, workers=20, cores=1, task=0.02, rate=None)
    # Four times as dear: fewer tasks fill it, and fewer have to be simulated.
    dear = replace(
        recorded_costs,
        enqueue=4 * recorded_costs.enqueue,
        claim=times(4, recorded_costs.claim),
        finish=times(4, recorded_costs.finish),
    )
    loads = most(plan, dear, 3, steps=3)
    best = max(loads, key=lambda one: one.done)
    assert best.fits
    assert not load(replace(plan, rate=best.plan.rate * 1.6), dear, 3).fits


def test_commits_that_wait_share_a_flush():
    env = simpy.Environment()
    database = Database(env, cores=8, round_trip=0.0, flush=0.010)
    done = []

    def client():
        yield from database.execute("write", 0.001, commits=True)
        done.append(env.now)

    for _ in range(4):
        env.process(client())
    env.run()
    # The first flush carries the first; the other three came in meanwhile.
    assert done == pytest.approx([0.011, 0.021, 0.021, 0.021])


def test_statements_wait_for_a_core():
    env = simpy.Environment()
    database = Database(env, cores=2, round_trip=0.0, flush=0.0)
    for _ in range(6):
        env.process(database.execute("read", 0.001))
    env.run()
    assert env.now == pytest.approx(0.003)
    assert database.busy == pytest.approx(0.006)
