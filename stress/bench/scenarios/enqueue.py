"""How fast tasks can be sent: one at a time, some in a transaction, many at once."""

from __future__ import annotations

from collections.abc import Callable, Collection

from stress.bench.arena import Arena
from stress.bench.contestants import DJANGO_DOOR, DJANGO_PEERS, EVERYBODY, OURS, Contestant
from stress.bench.scenario import Reading, Scenario

#: How many tasks one measurement sends.
MANY, FEW = 3_000, 1_000
BULK = 10_000
#: The least of a backend for Django's door, and its name beside ours.
BARE_MODULE, BARE = "stress.bench.bare_backend", "a bare backend"


class EnqueueSingle(Scenario):
    """One call in autocommit after the other, from one process. No pool listens.

    door: whose call. rivals: the names of the peers that take part.
    """

    unit = "tasks/s"
    limit_is = "raw insert + commit"

    def __init__(self, name: str, title: str, door: Contestant, rivals: Collection[str]) -> None:
        self.name = name
        self.title = title
        self._door = door
        self._rivals = rivals

    def ours(self, arena: Arena) -> Reading:
        return self._measure(arena, self._door)

    def limit(self, arena: Arena) -> Reading:
        count = _count(arena)
        with arena.stage() as stage:
            return Reading(count / stage.module("stress.bench.raw", "send", "--count", count))

    def beside(self, arena: Arena) -> dict[str, Callable[[], Reading]]:
        if self._door is OURS:
            return {}

        def bare() -> Reading:
            count = _count(arena)
            with arena.stage() as stage:
                return Reading(count / stage.module(BARE_MODULE, "--count", count))

        return {BARE: bare}

    def peer(self, arena: Arena, peer: Contestant) -> Reading | None:
        return self._measure(arena, peer) if peer.name in self._rivals else None

    def _measure(self, arena: Arena, contestant: Contestant) -> Reading:
        count = _count(arena)
        with arena.stage(contestant) as stage:
            return Reading(count / stage.run("send", "noop", count))


class EnqueueInTransaction(Scenario):
    """``delay()`` ten times in a transaction, one transaction after the other."""

    name = "enqueue-10-in-transaction"
    title = "enqueue, ten in a transaction"
    unit = "tasks/s"
    limit_is = "ten raw inserts + commit"

    def ours(self, arena: Arena) -> Reading:
        count = _count(arena)
        with arena.stage() as stage:
            return Reading(count / stage.run("send-in-transaction", "noop", 10, count))

    def limit(self, arena: Arena) -> Reading:
        count = _count(arena)
        with arena.stage() as stage:
            words = ("send", "--rows", 10, "--count", count)
            return Reading(count / stage.module("stress.bench.raw", *words))

    def peer(self, arena: Arena, peer: Contestant) -> Reading | None:
        if peer.store == "redis":
            return None
        count = _count(arena)
        with arena.stage(peer) as stage:
            return Reading(count / stage.run("send-in-transaction", "noop", 10, count))


class EnqueueBulk(Scenario):
    """10,000 tasks by one call."""

    name = "enqueue-bulk"
    title = "enqueue 10,000 by one call"
    unit = "tasks/s"
    limit_is = "raw COPY of the same columns, arguments encoded"

    def ours(self, arena: Arena) -> Reading:
        with arena.stage() as stage:
            return Reading(BULK / stage.run("send-many", "noop", BULK))

    def limit(self, arena: Arena) -> Reading:
        with arena.stage() as stage:
            return Reading(BULK / stage.module("stress.bench.raw", "copy", "--count", BULK))

    def peer(self, arena: Arena, peer: Contestant) -> Reading:
        with arena.stage(peer) as stage:
            return Reading(BULK / stage.run("send-many", "noop", BULK))


def _count(arena: Arena) -> int:
    return FEW if arena.quick else MANY


SCENARIOS: list[Scenario] = [
    EnqueueSingle(
        "enqueue-single",
        "enqueue, each in a transaction of its own",
        OURS,
        EVERYBODY,
    ),
    EnqueueSingle(
        "enqueue-django", "enqueue by Django's @task, each for itself", DJANGO_DOOR, DJANGO_PEERS
    ),
    EnqueueInTransaction(),
    EnqueueBulk(),
]
