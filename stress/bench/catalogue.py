"""All scenarios, in the order of the table."""

from __future__ import annotations

from stress.bench.scenario import Scenario
from stress.bench.scenarios import drain, enqueue

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for module in (enqueue, drain) for scenario in module.SCENARIOS
}
