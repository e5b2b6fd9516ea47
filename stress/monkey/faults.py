"""What the monkey does to a pool, chosen from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from stress.monkey.victims import Victim
from stress.tune import formulae


class Kind(StrEnum):
    """A fault. A pool must survive a short freeze unchanged, and recover from a long one."""

    WORKER_KILL = "worker-kill"
    WORKER_FREEZE = "worker-freeze"
    WORKER_FREEZE_LONG = "worker-freeze-long"
    KEEPER_KILL = "keeper-kill"
    KEEPER_FREEZE = "keeper-freeze"
    KEEPER_FREEZE_LONG = "keeper-freeze-long"

    @property
    def role(self) -> str:
        return self.value.partition("-")[0]

    @property
    def kills(self) -> bool:
        return self in (Kind.WORKER_KILL, Kind.KEEPER_KILL)

    @property
    def short(self) -> bool:
        return self in (Kind.WORKER_FREEZE, Kind.KEEPER_FREEZE)


#: How often each is chosen, in 16 times.
WEIGHTS = {
    Kind.WORKER_KILL: 8,
    Kind.WORKER_FREEZE: 2,
    Kind.WORKER_FREEZE_LONG: 2,
    Kind.KEEPER_KILL: 2,
    Kind.KEEPER_FREEZE: 1,
    Kind.KEEPER_FREEZE_LONG: 1,
}


@dataclass(frozen=True)
class Blow:
    """One fault for one victim. seconds: how long a freeze lasts, 0 for a kill."""

    kind: Kind
    victim: Victim
    seconds: float


class Monkey:
    """Picks the next fault and its victim.

    The seed decides the kinds and the place of each victim in the list. The pool decides
    which process has that place.

    lease, heartbeat: of the pool, in seconds. They decide how long freezes last.
    """

    def __init__(self, seed: int, lease: float, heartbeat: float) -> None:
        self._random = random.Random(seed)
        safe = lease - heartbeat - formulae.margin(lease)
        patience = formulae.keeper_patience(lease, heartbeat)
        self._short = {"worker": safe / 2, "keeper": min(safe, patience - heartbeat) / 2}
        self._long = {"worker": lease + 1.0, "keeper": patience + 4 * formulae.TICK}

    def next(self, victims: Sequence[Victim], frozen: set[int]) -> Blow | None:
        """The next fault, or None if no process of its role can be hit now."""
        kind = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        place, share = self._random.random(), self._random.uniform(0.2, 1.0)
        of_role = [victim for victim in victims if victim.name.startswith(kind.role)]
        free = [victim for victim in of_role if victim.pid not in frozen]
        # Half of the workers must be free to work, or nothing would happen.
        if not free or (not kind.kills and 2 * (len(of_role) - len(free)) > len(of_role) - 1):
            return None
        seconds = 0.0
        if not kind.kills:
            seconds = share * self._short[kind.role] if kind.short else self._long[kind.role]
        return Blow(kind, free[int(place * len(free))], seconds)
