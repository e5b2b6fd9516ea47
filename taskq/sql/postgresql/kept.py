"""What a connection keeps of a statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq.abc import PGresult

from taskq.sql.postgresql.numbered import numbered


class Kept:
    """A statement, and what was found out about it on one connection.

    name: the name of the prepared statement on the server, empty before. times: how often it ran
        before it had one. seen: see :class:`taskq.sql.postgresql.shared.SharedPrepared`.
    picked: takes the statement's parameters out of its values.
    """

    def __init__(self, statement: str, connection: psycopg.Connection[Any]) -> None:
        self.text, self.places = numbered(statement)
        self.picked = _picker(self.places)
        self.formats = [PyFormat.TEXT] * len(self.places)
        self.name = b""
        self.times = 0
        self.seen = 0
        self._loader = Transformer(connection)
        self._knows_types = False

    def rows(self, result: PGresult) -> list[tuple[Any, ...]]:
        """The rows of a result of this statement."""
        loader = self._loader
        # Finding out how to read each column takes longer than reading a row.
        loader.set_pgresult(result, set_loaders=not self._knows_types)
        self._knows_types = True
        rows: list[tuple[Any, ...]] = loader.load_rows(0, result.ntuples, tuple)
        loader.set_pgresult(None, set_loaders=False)
        return rows


def _picker(places: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """A function that takes the values at these places, in their order."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: [values[place] for place in places]
