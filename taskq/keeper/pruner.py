"""Pruning: what was kept for long enough is removed, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pool import clock
from taskq import events
from taskq.conf import Settings
from taskq.models.statistics import Step
from taskq.store.refusals import LIMIT, Refusals
from taskq.store.session import StoreSession
from taskq.store.tasks import TaskStore

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
        self._refusals = Refusals(session.owner, session.close, limit=LIMIT)
        # Not while everything starts.
        self.due = clock.now() + clock.nanoseconds(settings.heartbeat)

    def prune(self) -> None:
        """Remove one batch of each kind, if it is time. One that is refused stops no other."""
        now = clock.now()
        if now < self.due:
            return
        removed: list[int] = [0]
        for what, remove in self._kinds().items():
            self._refusals.do(f"prune {what}", partial(self._remove, remove, removed))
        more = max(removed) == PRUNE_BATCH
        wait = PRUNE_COST * (clock.now() - now) if more else clock.nanoseconds(PRUNE_EVERY)
        self.due = now + wait

    def _remove(self, remove: Callable[[TaskStore], int], removed: list[int]) -> None:
        removed.append(remove(self._session.store()))

    def _kinds(self) -> dict[str, Callable[[TaskStore], int]]:
        """What is pruned, and how a batch of it is removed."""
        settings, limit = self._settings, PRUNE_BATCH
        return {
            "results": lambda store: store.pruning.prune_results(settings.result_ttl, limit),
            "failed tasks": lambda store: store.pruning.prune_failed(settings.failed_ttl, limit),
            "idempotency keys": lambda store: store.pruning.prune_keys(
                settings.idempotency_ttl, limit
            ),
            "minutes": lambda store: store.statistics.prune(
                Step.MINUTE, settings.minutes_ttl, limit
            ),
            "finished tasks": lambda store: store.pruning.prune_finished(limit),
            "hours": lambda store: store.statistics.prune(Step.HOUR, settings.hours_ttl, limit),
            "losses": lambda store: store.losses.prune(settings.loss_ttl, limit),
            "workflows": lambda store: store.workflows.prune(settings.result_ttl, limit),
            # All that are too many, and so never a batch.
            "recent runs": lambda store: min(
                0,
                store.statistics.forget_recent(
                    each=settings.recent_runs, notable=NOTABLE, slow=events.SLOW
                ),
            ),
        }
