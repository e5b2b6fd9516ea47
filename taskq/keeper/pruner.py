"""Pruning: what was kept for long enough is removed, a few rows at a time."""

from __future__ import annotations

from pool import clock
from taskq.conf import Settings
from taskq.store.session import StoreSession

#: Seconds between looks for what is to be pruned, and rows removed by one of them.
PRUNE_EVERY = 60.0
PRUNE_BATCH = 1000
#: Pruning may take one part in so many of the time.
PRUNE_COST = 20


class Pruner:
    """Removes old results, failed tasks, idempotency keys and finished tasks.

    due: when to look next, by ``pool.clock``.
    """

    def __init__(self, session: StoreSession, settings: Settings) -> None:
        self._session = session
        self._settings = settings
        # Not while everything starts.
        self.due = clock.now() + clock.nanoseconds(settings.heartbeat)

    def prune(self) -> None:
        """Remove one batch, if it is time."""
        now = clock.now()
        if now < self.due:
            return
        store = self._session.store()
        removed = store.prune(
            result_ttl=self._settings.result_ttl,
            failed_ttl=self._settings.failed_ttl,
            idempotency_ttl=self._settings.idempotency_ttl,
            limit=PRUNE_BATCH,
        )
        finished = store.prune_finished(PRUNE_BATCH)
        more = max(*removed, finished) == PRUNE_BATCH
        wait = PRUNE_COST * (clock.now() - now) if more else clock.nanoseconds(PRUNE_EVERY)
        self.due = now + wait
