"""Pruning: what was kept for long enough is removed, a few rows at a time."""

from __future__ import annotations

from taskq import sql


class PruneStore:
    """The tables of what is over, over one connection. Each statement is a transaction."""

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.pruning_of(vendor)

    def prune_results(self, ttl: float | None, limit: int) -> int:
        """Remove results that are older than so many seconds, None for none, and at most ``limit``.
        Returns how many they were."""
        return self._prune(self._sql.RESULTS, ttl, limit)

    def prune_failed(self, ttl: float | None, limit: int) -> int:
        """The same for failed tasks."""
        return self._prune(self._sql.FAILED, ttl, limit)

    def prune_keys(self, ttl: float | None, limit: int) -> int:
        """The same for idempotency keys."""
        return self._prune(self._sql.KEYS, ttl, limit)

    def _prune(self, statement: str, ttl: float | None, limit: int) -> int:
        values = {"ttl": ttl, "limit": limit}
        return 0 if ttl is None else self._connection.count(statement, values)

    def prune_finished(self, limit: int) -> int:
        """Remove finished tasks whose last day is over, as far as no partition goes with that day,
        and at most ``limit``; how many they were."""
        return self._connection.count(self._sql.FINISHED, {"limit": limit})
