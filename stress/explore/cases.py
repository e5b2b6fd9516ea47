"""The cases: which actors, in which order. Random by number, or all orders of a few."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Iterator, Sequence

from stress.explore.actors import ACTORS
from stress.explore.conductor import Conductor, Order
from stress.explore.schedule import Drawn, InTurn

#: Numbers of actors in a random case.
SIZES = (2, 3, 3, 4)

#: This actor and each of the long ones have so many statements that all their orders would take ten
#: minutes.
TOO_MANY = "cancel-workflow"
LONG = {"retire", "reclaim", "cancel", "cancel-waiting", "retry-failed", TOO_MANY}

#: Plays one order.
Play = Callable[[Conductor], Order]


def drawn(seed: int, case: int) -> Play:
    """The random case of a number. The same seed and number give the same case."""
    chance = random.Random(f"{seed}/{case}")
    actors = chance.choices(list(ACTORS), k=chance.choice(SIZES))
    alive = chance.random() < 0.75
    schedule = Drawn(f"{seed}/{case}")
    return functools.partial(Conductor.play, actors=actors, schedule=schedule, alive=alive)


def all_orders(actors: Sequence[str]) -> Iterator[Play]:
    """All orders of these actors, with a valid lease and with an expired one."""
    for alive in (True, False):
        schedule = InTurn()
        play = functools.partial(Conductor.play, actors=actors, schedule=schedule, alive=alive)
        yield play
        while schedule.more():
            yield play


def pairs() -> Iterator[Play]:
    """All orders of any two actors, but for those of two that take too long."""
    for pair in itertools.combinations_with_replacement(ACTORS, 2):
        if not (TOO_MANY in pair and LONG.issuperset(pair)):
            yield from all_orders(pair)
