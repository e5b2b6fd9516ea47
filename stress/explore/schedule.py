"""Which player goes on next: at random, or in every order in turn."""

from __future__ import annotations

import random
from typing import Protocol

#: The most actors at a time.
PLAYERS = 4


class Schedule(Protocol):
    """The choices of one order."""

    def choose(self, among: int) -> int:
        """The number of the chosen one, from 0."""


class Drawn:
    """Random choices by a seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def choose(self, among: int) -> int:
        return self._random.randrange(among)


class InTurn:
    """All orders, one after another. Each differs from the one before in its last choices."""

    def __init__(self) -> None:
        #: Each choice, and among how many it was made.
        self._choices: list[tuple[int, int]] = []
        self._at = 0

    def choose(self, among: int) -> int:
        if self._at == len(self._choices):
            self._choices.append((0, among))
        chosen, _ = self._choices[self._at]
        # The database may have let a player go on earlier than in the last order.
        chosen = min(chosen, among - 1)
        self._choices[self._at] = chosen, among
        self._at += 1
        return chosen

    def more(self) -> bool:
        """Go on to the next order. False if there is none."""
        del self._choices[self._at :]
        while self._choices:
            chosen, among = self._choices.pop()
            if chosen + 1 < among:
                self._choices.append((chosen + 1, among))
                break
        self._at = 0
        return bool(self._choices)
