"""The limit of one PostgreSQL: how much work a fleet can do."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

from stress.model.costs import Costs
from stress.model.fleet import Outcome, Plan, simulate

#: A database is full beyond this share of its cores, or if one task in a hundred waits
#: longer than these seconds.
FULL, LATE = 0.8, 1.0


@dataclass(frozen=True)
class Load:
    """A plan and its result in a few numbers. Waits and renewals are in seconds."""

    plan: Plan
    done: float
    utilization: float
    statements: dict[str, float]
    wait_median: float
    wait_p99: float
    renewal_max: float

    @property
    def fits(self) -> bool:
        keeps_up = self.done >= 0.9 * self.statements.get("enqueue", 0.0)
        return self.utilization <= FULL and self.wait_p99 <= LATE and keeps_up

    @property
    def connections(self) -> int:
        """Connections of the queue. A task that uses the database has one more."""
        return self.plan.hosts * (self.plan.workers + 1)


def load(plan: Plan, costs: Costs, seconds: float) -> Load:
    """Simulate one plan."""
    # The warm-up must be longer than a task, so that some end when the counting begins.
    outcome = simulate(plan, costs, seconds, warm_up=2.0 + plan.task)
    return Load(
        plan,
        outcome.done,
        outcome.utilization,
        outcome.statements,
        _share(outcome, 0.5),
        _share(outcome, 0.99),
        max(outcome.renewals, default=0.0),
    )


def most(plan: Plan, costs: Costs, seconds: float, *, steps: int = 5) -> list[Load]:
    """Loads at rising rates, up to the highest that fits, which is the last.

    Doubles the rate until it does not fit, then halves the gap ``steps`` times.
    Empty if not even the lowest rate fits.
    """
    tried = []
    low, high = 0.0, 25.0
    while (one := load(replace(plan, rate=high), costs, seconds)).fits:
        tried.append(one)
        low, high = high, 2 * high
    for _ in range(steps if low else 0):
        middle = (low + high) / 2
        one = load(replace(plan, rate=middle), costs, seconds)
        if one.fits:
            tried.append(one)
            low = middle
        else:
            high = middle
    return tried


def idle(plan: Plan, costs: Costs) -> float:
    """Cores that a fleet without work keeps busy. Nothing waits, so this is arithmetic."""
    beat = costs.renew.of(plan.workers + 1) + costs.expired.of(plan.hosts * (plan.workers + 1))
    return plan.hosts * (beat / plan.heartbeat + costs.lanes_idle / plan.poll)


def _share(outcome: Outcome, share: float) -> float:
    if len(outcome.waits) < 2:
        return 0.0
    return statistics.quantiles(outcome.waits, n=100)[round(100 * share) - 1]
