"""What it costs to measure each run: the same drain beside itself with the measuring off."""

from __future__ import annotations

from stress.bench.arena import Arena
from stress.bench.scenario import Reading, Scenario
from stress.bench.scenarios import drain


class Measured(Scenario):
    """Another scenario. The limit is the same with ``TASKQ["STATISTICS"]`` off."""

    limit_is = "the same with STATISTICS off"

    def __init__(self, scenario: Scenario) -> None:
        self.name = f"{scenario.name}-measured"
        self.title = f"{scenario.title}; each run is measured"
        self.unit = scenario.unit
        self._scenario = scenario

    def ours(self, arena: Arena) -> Reading:
        return self._scenario.ours(arena)

    def limit(self, arena: Arena) -> Reading:
        with arena.taskq_settings(STATISTICS=False):
            return self._scenario.ours(arena)


SCENARIOS: list[Scenario] = [
    Measured(each)
    for each in drain.SCENARIOS
    if each.name in ("drain-noop-c8", "drain-django-c8", "drain-failing-c8", "drain-5ms-c8")
]
