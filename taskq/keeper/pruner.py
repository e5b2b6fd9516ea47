"""Pruning: what was kept for long enough is removed, a few rows at a time."""

from __future__ import annotations

from pool import clock
from taskq import events
from taskq.conf import Settings
from taskq.models.statistics import Step
from taskq.store.session import StoreSession

#: Seconds between looks for what is to be pruned, and rows removed by one of them.
PRUNE_EVERY = 300.0
PRUNE_BATCH = 1000
#: Pruning may take one part in so many of the time.
PRUNE_COST = 20
#: Recent runs that are kept of those that were slow or did not succeed, beside the last of each
#: name.
NOTABLE = 1000


class Pruner:
    """Removes old results, failed and finished tasks, idempotency keys, roll-ups, recent runs,
    losses and workflows.

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
        store, settings = self._session.store(), self._settings
        removed = [
            *store.pruning.prune(
                result_ttl=settings.result_ttl,
                failed_ttl=settings.failed_ttl,
                idempotency_ttl=settings.idempotency_ttl,
                limit=PRUNE_BATCH,
            ),
            store.statistics.prune(Step.MINUTE, settings.minutes_ttl, PRUNE_BATCH),
            store.pruning.prune_finished(PRUNE_BATCH),
            store.statistics.prune(Step.HOUR, settings.hours_ttl, PRUNE_BATCH),
            store.losses.prune(settings.loss_ttl, PRUNE_BATCH),
            store.workflows.prune(settings.result_ttl, PRUNE_BATCH),
        ]
        store.statistics.forget_recent(each=settings.recent_runs, notable=NOTABLE, slow=events.SLOW)
        more = max(removed) == PRUNE_BATCH
        wait = PRUNE_COST * (clock.now() - now) if more else clock.nanoseconds(PRUNE_EVERY)
        self.due = now + wait
