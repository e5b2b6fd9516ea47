"""Who goes on next: at random, or in every order in turn."""

from __future__ import annotations

import random
from typing import Protocol

#: Actors at a time.
PLAYERS = 4


class Schedule(Protocol):
    """The choices of one order."""

    def choose(self, among: int) -> int:
        """One of so many, from 0."""


class Drawn:
    """By a seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def choose(self, among: int) -> int:
        return self._random.randrange(among)


class InTurn:
    """All orders, one after another: each is the next that begins with other choices."""

    def __init__(self) -> None:
        #: What was chosen, and among how many.
        self._choices: list[tuple[int, int]] = []
        self._at = 0

    def choose(self, among: int) -> int:
        if self._at == len(self._choices):
            self._choices.append((0, among))
        chosen, _ = self._choices[self._at]
        # The database may have let somebody go on earlier than in the order before.
        chosen = min(chosen, among - 1)
        self._choices[self._at] = chosen, among
        self._at += 1
        return chosen

    def more(self) -> bool:
        """Go on to the next order; whether there is one."""
        del self._choices[self._at :]
        while self._choices:
            chosen, among = self._choices.pop()
            if chosen + 1 < among:
                self._choices.append((chosen + 1, among))
                break
        self._at = 0
        return bool(self._choices)
