"""The plan of a run: which fault when, and on which pool. Chance comes from the seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from stress.chaos.faults.base import Fault, Lane
from stress.chaos.options import Options

#: Seconds of peace at the beginning.
HEAD_START = 1.0
#: Seconds between the end of a fault and the next in its lane: from, to.
PEACE = {Lane.POOL: (0.2, 0.8), Lane.DATABASE: (0.5, 3.0), Lane.LOAD: (0.5, 2.5)}


@dataclass(frozen=True, order=True)
class Planned:
    """A fault to come.

    at: seconds after the load began. pool: its number, None for what happens to all.
    seed: of the choices that the fault itself makes.
    """

    at: float
    fault: str
    pool: int | None
    seed: int


@dataclass(frozen=True)
class Plan:
    """left_out: faults that were chosen, but for which there is no time."""

    entries: list[Planned]
    left_out: list[str]


def plan(options: Options, faults: Sequence[Fault]) -> Plan:
    """Each fault once, in random order, then more of them by weight, until time is up."""
    rng = random.Random(options.seed)
    made = Plan([], [])
    for lane in Lane:
        deck = [fault for fault in faults if fault.lane is lane]
        count = options.pools if lane is Lane.POOL else 1
        _deal(rng, deck, [HEAD_START] * count, options, made)
    made.entries.sort()
    return made


def _deal(
    rng: random.Random, deck: Sequence[Fault], free: list[float], options: Options, made: Plan
) -> None:
    """free: for each lane when the next fault may begin."""

    def fits(fault: Fault, at: float) -> bool:
        return at + fault.seconds(options) <= options.seconds

    def place(fault: Fault, lane: int, at: float) -> None:
        pool = lane if fault.lane is Lane.POOL else None
        made.entries.append(Planned(round(at, 3), fault.name, pool, rng.getrandbits(32)))
        free[lane] = at + fault.seconds(options)

    for fault in rng.sample(deck, len(deck)):
        lane = free.index(min(free))
        at = free[lane] + rng.uniform(*PEACE[fault.lane])
        if fits(fault, at):
            place(fault, lane, at)
        else:
            made.left_out.append(fault.name)
    while deck:
        lane = free.index(min(free))
        at = free[lane] + rng.uniform(*PEACE[deck[0].lane])
        fitting = [fault for fault in deck if fits(fault, at)]
        if not fitting:
            return
        weights = [fault.weight for fault in fitting]
        place(rng.choices(fitting, weights)[0], lane, at)
