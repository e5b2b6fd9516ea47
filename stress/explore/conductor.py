"""Leads the players through one order, statement by statement."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from stress.explore.actors import ACTORS, OF_WORKFLOWS
from stress.explore.gate import Doing, Gates
from stress.explore.invariants import broken
from stress.explore.player import Player
from stress.explore.scene import clear, make
from stress.explore.schedule import PLAYERS, Schedule
from stress.rig.closing import Closing

#: Seconds that a statement may take before the server is asked whether a lock blocks it.
QUICK = 0.002
#: Seconds after which players that wait for each other count as stuck. The server breaks a
#: deadlock after one second.
STUCK = 30.0
#: Actors whose statements skip locked rows.
NEVER_WAIT = ("claim-elsewhere",)
#: Number of orders after which dead rows are removed.
THOROUGHLY = 200

_HELD_UP = """
SELECT pid FROM unnest(%s::int[]) AS pid WHERE cardinality(pg_blocking_pids(pid)) > 0
"""


@dataclass
class Order:
    """One order. steps: the player, its statement, and the players that had to wait then."""

    actors: Sequence[str]
    alive: bool
    steps: list[tuple[str, str, list[str]]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Conductor(Closing):
    """Plays orders. url: of the database, for a session that only reads."""

    def __init__(self, url: str) -> None:
        gates = Gates()
        self._changed = gates.changed
        self._session: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
        self._players = [Player(gates) for _ in range(PLAYERS)]
        self._orders = 0

    def play(self, *, actors: Sequence[str], schedule: Schedule, alive: bool) -> Order:
        """Play one order to its end."""
        clear(self._session, thoroughly=self._orders % THOROUGHLY == 0)
        self._orders += 1
        flow = not OF_WORKFLOWS.isdisjoint(actors)
        scene = make(self._session, alive=alive, flow=flow)
        players = self._players[: len(actors)]
        order = Order(actors, alive)
        for number, (player, name) in enumerate(zip(players, actors, strict=True)):
            twice = list(actors[:number]).count(name)
            player.play(name, twice, ACTORS[name], scene)
        while True:
            held_up = self._settle(players)
            over = all(player.gate.doing is Doing.NOTHING for player in players)
            if not order.broken:
                order.broken = broken(self._session, scene, over=over)
            if over:
                break
            if order.steps:
                order.steps[-1][2].extend(player.name for player in held_up)
            if any(player.actor in NEVER_WAIT for player in held_up):
                order.broken.append("a claim waits for a row that another has locked")
            ready = [player for player in players if player.gate.doing is Doing.WAITING]
            if not ready:
                order.broken.append("they wait for each other, and the server does not notice")
                break
            chosen = ready[schedule.choose(len(ready)) if len(ready) > 1 else 0]
            order.steps.append((chosen.name, chosen.gate.next, []))
            chosen.gate.let_through()
        for player in players:
            if player.error is not None:
                order.broken.append(f"{player.name} failed: {_text(player.error)}")
        return order

    def close(self) -> None:
        for player in self._players:
            player.close()
        self._session.close()

    def _settle(self, players: Sequence[Player]) -> list[Player]:
        """Wait until only players that a lock blocks are moving. Returns them."""
        until = time.monotonic() + STUCK
        while True:
            moving = self._moving(players)
            if not moving:
                return []
            waiting = any(player.gate.doing is Doing.WAITING for player in players)
            pids = [pid for player in moving for pid in player.pids]
            held_up = {pid for (pid,) in self._session.execute(_HELD_UP, [pids])}
            all_held_up = all(held_up & set(player.pids) for player in moving)
            # If no player has gone on since, the blocked ones are still blocked.
            if all_held_up and (waiting or time.monotonic() > until):
                still = [player for player in moving if player.gate.doing is Doing.MOVING]
                if len(still) == len(moving):
                    return moving

    def _moving(self, players: Sequence[Player]) -> list[Player]:
        def moving() -> list[Player]:
            return [player for player in players if player.gate.doing is Doing.MOVING]

        with self._changed:
            self._changed.wait_for(lambda: not moving(), timeout=QUICK)
            return moving()


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
