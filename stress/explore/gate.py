"""Where actors wait: each statement of theirs is let through by itself."""

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
    """What a player is at."""

    NOTHING = "nothing"
    WAITING = "waiting"  # for its next statement to be let through
    MOVING = "moving"  # a statement, or what comes between two


class Gates:
    """The gates of all players, under one lock."""

    def __init__(self) -> None:
        self.changed = threading.Condition()


class Gate:
    """One player's. A thread waits in :meth:`step`, another lets it through."""

    def __init__(self, gates: Gates) -> None:
        self._changed = gates.changed
        self._open = False
        self.doing = Doing.NOTHING
        #: What is to be let through next.
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
    """A connection of the queue's own, each of whose statements waits to be let through.

    What one round trip carries comes here in several, in the same transaction. So others may
    come in between, as they may on a server that is slow.
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
        """One that waits before its commit; within another, nothing."""
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
    """For ``execute_wrapper`` of a connection of Django's."""

    def wrapper(
        execute: Callable[..., Any], statement: str, params: Any, many: bool, context: Any
    ) -> Any:
        if "SAVEPOINT" not in statement:
            gate.step(statement)
        return execute(statement, params, many, context)

    return wrapper
