"""The same figures where each flush of the server takes 5 ms more, as on a slow disk."""

from __future__ import annotations

from collections.abc import Callable

from stress.bench.arena import Arena
from stress.bench.contestants import DJANGO_PEERS, Contestant
from stress.bench.scenario import Reading, Scenario
from stress.bench.scenarios import drain


class OnSlowDisk(Scenario):
    """Another scenario, with the slow disk for everybody who has one."""

    quick_peers = DJANGO_PEERS  # those of a target

    def __init__(self, scenario: Scenario) -> None:
        self.name = f"{scenario.name}-slow-disk"
        self.title = f"{scenario.title}; a flush takes 5 ms more"
        self.unit = scenario.unit
        self.limit_is = scenario.limit_is
        self._scenario = scenario

    def ours(self, arena: Arena) -> Reading:
        with arena.slow_disk():
            return self._scenario.ours(arena)

    def limit(self, arena: Arena) -> Reading | None:
        with arena.slow_disk():
            return self._scenario.limit(arena)

    def beside(self, arena: Arena) -> dict[str, Callable[[], Reading]]:
        found = self._scenario.beside(arena)
        return {name: arena.slow_disk()(measure) for name, measure in found.items()}

    def peer(self, arena: Arena, peer: Contestant) -> Reading | None:
        if peer.store == "redis":
            return None
        with arena.slow_disk():
            return self._scenario.peer(arena, peer)


SCENARIOS: list[Scenario] = [
    OnSlowDisk(each)
    for each in drain.SCENARIOS
    if each.name
    in ("drain-noop-c8", "drain-django-c8", "drain-atomic-c8", "drain-5ms-c8", "drain-50ms-c8")
]
