"""All scenarios, in the order of the table."""

from __future__ import annotations

from stress.bench.scenario import Scenario
from stress.bench.scenarios import (
    backlog,
    drain,
    enqueue,
    idle,
    latency,
    leases,
    long_transaction,
    measured,
    notify,
    slow_disk,
    sqlite,
    workflows,
)

MODULES = (
    enqueue,
    drain,
    slow_disk,
    measured,
    latency,
    idle,
    backlog,
    long_transaction,
    notify,
    leases,
    workflows,
    sqlite,
)

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for module in MODULES for scenario in module.SCENARIOS
}
