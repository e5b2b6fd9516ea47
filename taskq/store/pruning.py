"""Pruning: what was kept for long enough is removed, a few rows at a time."""

from __future__ import annotations

from taskq import sql


class PruneStore:
    """The tables of what is over, over one connection. Each statement is a transaction."""

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.pruning_of(vendor)

    def prune(
        self,
        *,
        result_ttl: float | None,
        failed_ttl: float | None,
        idempotency_ttl: float | None,
        limit: int,
    ) -> tuple[int, int, int]:
        """Remove results, failed tasks and idempotency keys that are older than so many
        seconds, None for none, and at most ``limit`` of each; how many they were."""

        def some(statement: str, ttl: float | None) -> int:
            values = {"ttl": ttl, "limit": limit}
            return 0 if ttl is None else self._connection.count(statement, values)

        return (
            some(self._sql.RESULTS, result_ttl),
            some(self._sql.FAILED, failed_ttl),
            some(self._sql.KEYS, idempotency_ttl),
        )

    def prune_finished(self, limit: int) -> int:
        """Remove finished tasks whose last day is over, as far as no partition goes with that day,
        and at most ``limit``; how many they were."""
        return self._connection.count(self._sql.FINISHED, {"limit": limit})
