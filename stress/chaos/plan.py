"""The plan of a run: which fault happens when, and to which pool. The seed decides it all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from stress.chaos.faults.base import Fault, Lane
from stress.chaos.options import Options

#: Seconds without a fault at the beginning.
HEAD_START = 1.0
#: Seconds between the end of a fault and the next in its lane: from, to.
PEACE = {Lane.POOL: (0.2, 0.8), Lane.DATABASE: (0.5, 3.0), Lane.LOAD: (0.5, 2.5)}


@dataclass(frozen=True, order=True)
class Planned:
    """A fault of the plan.

    at: seconds after the load began. pool: its number; None for a fault of all pools.
    seed: for the choices that the fault itself makes.
    """

    at: float
    fault: str
    pool: int | None
    seed: int


@dataclass(frozen=True)
class Plan:
    """entries: the faults in their order. left_out: chosen faults that there is no time for."""

    entries: list[Planned]
    left_out: list[str]


def plan(options: Options, faults: Sequence[Fault]) -> Plan:
    """Plan each fault once, then more of them by weight until time is up, in random order."""
    rng = random.Random(options.seed)
    made = Plan([], [])
    for kind in Lane:
        deck = [fault for fault in faults if fault.lane is kind]
        count = options.pools if kind is Lane.POOL else 1
        lanes = [_Timetable(options, PEACE[kind]) for _ in range(count)]
        once = _as_many_as_fit(deck, count * (options.seconds - HEAD_START), options, rng)
        # The longest first, because that fills the lanes best.
        for fault in sorted(once, key=lambda fault: -fault.seconds(options)):
            if not min(lanes, key=lambda lane: lane.taken).add(fault, rng):
                once.remove(fault)
        made.left_out.extend(fault.name for fault in deck if fault not in once)
        for lane in lanes:
            while fitting := [fault for fault in deck if lane.has_room(fault)]:
                lane.add(rng.choices(fitting, [fault.weight for fault in fitting])[0], rng)
        for number, lane in enumerate(lanes):
            pool = number if kind is Lane.POOL else None
            made.entries.extend(lane.laid_out(rng, pool))
    made.entries.sort()
    return made


def _as_many_as_fit(
    deck: Sequence[Fault], seconds: float, options: Options, rng: random.Random
) -> list[Fault]:
    """The faults that fit into the time, chosen at random if not all do."""
    chosen = []
    for fault in rng.sample(deck, len(deck)):
        cost = fault.seconds(options) + sum(PEACE[fault.lane]) / 2
        if cost <= seconds:
            chosen.append(fault)
            seconds -= cost
    return chosen


class _Timetable:
    """The faults of one lane, which ends when the run ends."""

    def __init__(self, options: Options, peace: tuple[float, float]) -> None:
        self.taken = HEAD_START
        self._options = options
        self._peace = peace
        self._faults: list[tuple[Fault, float]] = []  # with the peace before each

    def has_room(self, fault: Fault) -> bool:
        most = self._peace[1] + fault.seconds(self._options)
        return self.taken + most <= self._options.seconds

    def add(self, fault: Fault, rng: random.Random) -> bool:
        """Add a fault. False if there is no room for it."""
        if not self.has_room(fault):
            return False
        peace = rng.uniform(*self._peace)
        self._faults.append((fault, peace))
        self.taken += peace + fault.seconds(self._options)
        return True

    def laid_out(self, rng: random.Random, pool: int | None) -> list[Planned]:
        """One after the other, in random order."""
        rng.shuffle(self._faults)
        at = HEAD_START
        entries = []
        for fault, peace in self._faults:
            at += peace
            entries.append(Planned(round(at, 3), fault.name, pool, rng.getrandbits(32)))
            at += fault.seconds(self._options)
        return entries
