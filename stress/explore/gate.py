"""The gates of the actors, which let through one statement at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any

from taskq import sql
from taskq.sql import Answer, Call

COMMIT = "COMMIT"


class Doing(Enum):
    """What a player does now."""

    NOTHING = "nothing"
    WAITING = "waiting"  # for its next statement to be let through
    MOVING = "moving"  # in a statement, or between two


class Gates:
    """The gates of all players, under one lock."""

    def __init__(self) -> None:
        self.changed = threading.Condition()


class Gate:
    """The gate of one player. Its thread waits in :meth:`step`; another thread lets it through."""

    def __init__(self, gates: Gates) -> None:
        self._changed = gates.changed
        self._open = False
        self.doing = Doing.NOTHING
        #: The statement that waits to be let through.
        self.next = ""

    def step(self, statement: str) -> None:
        """Wait to be let through with a statement."""
        with self._changed:
            self.next = statement
            self.doing = Doing.WAITING
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open)
            self._open = False

    def let_through(self) -> None:
        """Let the next statement through."""
        with self._changed:
            self.doing = Doing.MOVING
            self._open = True
            self._changed.notify_all()

    def now(self, doing: Doing) -> None:
        with self._changed:
            self.doing = doing
            self._changed.notify_all()


class Stepped:
    """A connection of the queue whose statements wait at a gate.

    Statements that usually share one round trip come one by one here, in the same
    transaction. So other players can act in between, as they can on a slow server.
    """

    def __init__(self, connection: sql.Connection, gate: Gate) -> None:
        self._connection = connection
        self._gate = gate
        self._within = False
        self.home = connection.home

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self.transaction():
            self._gate.step(statement)
            return self._connection.rows(statement, values)

    def count(self, statement: str, values: Mapping[str, Any]) -> int:
        with self.transaction():
            self._gate.step(statement)
            return self._connection.count(statement, values)

    def batch(self, *calls: Call) -> list[list[tuple[Any, ...]]]:
        with self.transaction():
            return [self.rows(*call) for call in calls]

    def begin(self, *calls: Call) -> Answer | None:
        answers = self.batch(*calls)
        return lambda: answers

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction that waits before its commit. Inside of another one it does nothing."""
        if self._within:
            yield
            return
        self._within = True
        try:
            with self._connection.transaction():
                yield
                self._gate.step(COMMIT)
        finally:
            self._within = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def stepping(gate: Gate) -> Callable[..., Any]:
    """A wrapper for ``execute_wrapper`` of a Django connection."""

    def wrapper(
        execute: Callable[..., Any], statement: str, params: Any, many: bool, context: Any
    ) -> Any:
        if "SAVEPOINT" not in statement:
            gate.step(statement)
        return execute(statement, params, many, context)

    return wrapper
