"""The rounds of a scenario: all contestants in turn, again and again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from stress.bench.arena import Arena
from stress.bench.contestants import OURS, Contestant, Skipped
from stress.bench.figures import TooFewSamples
from stress.bench.queue import Unsupported
from stress.bench.results import Result
from stress.bench.scenario import Reading, Scenario
from stress.bench.stage import Broken
from stress.rig.pools import TimedOut

LIMIT = "limit"


def run(
    scenario: Scenario,
    arena: Arena,
    *,
    rounds: int,
    peers: Sequence[Contestant],
    steady: Collection[str],
    say: Callable[[str], None],
) -> Result:
    """Measure all contestants in turn. The order rotates, so that none is always the first
    after a pause or the last on a warm machine.

    steady: the names of the peers that take part in each round, as taskq and the limit do.
    What the scenario puts beside itself does too. The others take part in one round, because
    no target depends on them. In a quick run all peers take part in one round.

    A contestant that fails is left out from then on, and a line says so.
    """
    result = Result(scenario.name, scenario.title, scenario.unit, scenario.limit_is, scenario.shows)
    measures: dict[str, Callable[[], Reading | None]] = {
        OURS.name: lambda: scenario.ours(arena),
        LIMIT: lambda: scenario.limit(arena),
    }
    beside = scenario.beside(arena)
    measures.update(beside)
    for peer in peers:
        if arena.quick and peer.name not in (_quick_peers(scenario, peers)):
            result.skipped.append(Skipped(peer.name, "not in a quick run"))
            continue
        measures[peer.name] = _of_peer(scenario, arena, peer)
    if arena.quick and scenario.quick_rounds is not None:
        rounds = scenario.quick_rounds
    values: dict[str, list[float | None]] = {name: [] for name in measures}
    for number in range(rounds):
        names = list(measures)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            place = names.index(name) - 2 - len(beside)
            once = place >= 0 and (arena.quick or name not in steady)
            if once and place % rounds != number:
                values[name].append(None)
                continue
            reading = _read(name, measures, result, say)
            values[name].append(None if reading is None else reading.value)
            if reading is not None:
                say(f"  {number + 1}/{rounds} {name}: {reading.value:,.4g} {scenario.unit}")
                result.detail[name] = reading.detail
                if name == OURS.name:
                    result.show(reading.detail)
    result.ours, result.limit = values.pop(OURS.name), values.pop(LIMIT)
    result.peers = {name: each for name, each in values.items() if any(v is not None for v in each)}
    return result


def _read(
    name: str,
    measures: dict[str, Callable[[], Reading | None]],
    result: Result,
    say: Callable[[str], None],
) -> Reading | None:
    if any(name == skipped.name for skipped in result.skipped):
        return None
    try:
        return measures[name]()
    except Unsupported as reason:
        result.skipped.append(Skipped(name, str(reason)))
    except (Broken, TimedOut, TooFewSamples) as error:
        say(str(error))
        # The last line of a traceback is what a table has room for.
        result.skipped.append(Skipped(name, f"failed: {str(error).strip().splitlines()[-1]}"))
    say(f"  {name} takes no further part: {result.skipped[-1].reason}")
    return None


def _of_peer(scenario: Scenario, arena: Arena, peer: Contestant) -> Callable[[], Reading | None]:
    return lambda: scenario.peer(arena, peer)


def _quick_peers(scenario: Scenario, peers: Sequence[Contestant]) -> list[str]:
    if scenario.quick_peers is None:
        return [peer.name for peer in peers]
    return list(scenario.quick_peers)
