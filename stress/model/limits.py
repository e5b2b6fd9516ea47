"""Where one PostgreSQL ends: how much work a fleet can be given."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

from stress.model.costs import Costs
from stress.model.fleet import Outcome, Plan, simulate

#: Beyond either of these a database has no room left: share of its cores, and seconds
#: that one task in a hundred waits.
FULL, LATE = 0.8, 1.0


@dataclass(frozen=True)
class Load:
    """A plan and what came of it, in few numbers. Waits and renewals in seconds."""

    plan: Plan
    done: float
    utilisation: float
    statements: dict[str, float]
    wait_median: float
    wait_p99: float
    renewal_max: float

    @property
    def fits(self) -> bool:
        keeps_up = self.done >= 0.9 * self.statements.get("enqueue", 0.0)
        return self.utilisation <= FULL and self.wait_p99 <= LATE and keeps_up

    @property
    def connections(self) -> int:
        """Those for the queue; tasks that use the database have one more each."""
        return self.plan.hosts * (self.plan.workers + 1)


def load(plan: Plan, costs: Costs, seconds: float) -> Load:
    """Simulate one plan."""
    # Tasks that began before the counting end after it: the first must have ended.
    outcome = simulate(plan, costs, seconds, warm_up=2.0 + plan.task)
    return Load(
        plan,
        outcome.done,
        outcome.utilisation,
        outcome.statements,
        _share(outcome, 0.5),
        _share(outcome, 0.99),
        max(outcome.renewals, default=0.0),
    )


def most(plan: Plan, costs: Costs, seconds: float, *, steps: int = 5) -> list[Load]:
    """Loads at rising rates, up to the most tasks a second that fit; that one is last.

    Doubles the rate until it does not fit, then halves the gap so many times.
    Empty when not even the least rate fits.
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
    """Cores that a fleet without work keeps busy: by arithmetic, as nothing waits."""
    beat = costs.renew.of(plan.workers + 1) + costs.expired.of(plan.hosts * (plan.workers + 1))
    return plan.hosts * (beat / plan.heartbeat + costs.lanes_idle / plan.poll)


def _share(outcome: Outcome, share: float) -> float:
    if len(outcome.waits) < 2:
        return 0.0
    return statistics.quantiles(outcome.waits, n=100)[round(100 * share) - 1]
