"""The rounds of a scenario: everybody in turn, again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stress.bench.arena import Arena
from stress.bench.contestants import OURS, Contestant, Skipped
from stress.bench.queue import Unsupported
from stress.bench.results import Result
from stress.bench.scenario import Reading, Scenario

LIMIT = "limit"


def run(
    scenario: Scenario,
    arena: Arena,
    *,
    rounds: int,
    peers: Sequence[Contestant],
    say: Callable[[str], None],
) -> Result:
    """Measure everybody in each round, in an order that turns, so that nobody always
    comes first after a pause or last on a warm machine.

    A quick run measures each peer in one round only, ourselves and the limit in all.

    Raises Broken or TimedOut when we, the limit or a peer fail at what they can do.
    """
    result = Result(scenario.name, scenario.title, scenario.unit, scenario.limit_is)
    measures: dict[str, Callable[[], Reading | None]] = {
        OURS.name: lambda: scenario.ours(arena),
        LIMIT: lambda: scenario.limit(arena),
    }
    for peer in peers:
        measures[peer.name] = _of_peer(scenario, arena, peer)
    values: dict[str, list[float | None]] = {name: [] for name in measures}
    for number in range(rounds):
        names = list(measures)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            place = names.index(name) - 2
            left_out = arena.quick and place >= 0 and place % rounds != number
            reading = None if left_out else _read(name, measures, result)
            values[name].append(None if reading is None else reading.value)
            if reading is not None:
                say(f"  {number + 1}/{rounds} {name}: {reading.value:,.4g} {scenario.unit}")
                result.detail[name] = reading.detail
    result.ours, result.limit = values.pop(OURS.name), values.pop(LIMIT)
    result.peers = {name: each for name, each in values.items() if any(v is not None for v in each)}
    return result


def _read(
    name: str, measures: dict[str, Callable[[], Reading | None]], result: Result
) -> Reading | None:
    if any(name == skipped.name for skipped in result.skipped):
        return None
    try:
        return measures[name]()
    except Unsupported as reason:
        result.skipped.append(Skipped(name, str(reason)))
        return None


def _of_peer(scenario: Scenario, arena: Arena, peer: Contestant) -> Callable[[], Reading | None]:
    return lambda: scenario.peer(arena, peer)
