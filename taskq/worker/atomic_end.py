"""The end of an atomic task, in the transaction of the task's own code."""

from __future__ import annotations

from contextlib import AbstractContextManager

from django.db.backends.base.base import BaseDatabaseWrapper

from pool import Slot, clock
from taskq import sql
from taskq.store import atomic
from taskq.store.session import StoreSession
from taskq.task.claimed import Claimed
from taskq.task.keep_finished import Lifetimes
from taskq.task.registry import Definition
from taskq.worker.batch import Batch


class AtomicEnd:
    """Ends atomic tasks under the lease of a worker's batch.

    lifetimes: of the finished tasks that are kept.
    direct: see :func:`taskq.store.connecting.connect`.
    """

    def __init__(
        self,
        slot: Slot,
        batch: Batch,
        session: StoreSession,
        lifetimes: Lifetimes,
        *,
        direct: bool,
    ) -> None:
        self._slot = slot
        self._batch = batch
        self._session = session
        self._lifetimes = lifetimes
        self._direct = direct

    def begin(self, connection: BaseDatabaseWrapper) -> AbstractContextManager[object]:
        """Entered as the task's transaction is opened on the connection."""
        return sql.django_connection(connection, direct=self._direct).begin()

    def finish(
        self,
        connection: BaseDatabaseWrapper,
        task: Claimed,
        definition: Definition,
        result: str | None,
        passed: str | None,
        drops: int,
    ) -> bool:
        """Remove the task's row, and keep what is to be kept of it. False if the worker no longer
        holds the task: then the transaction must be rolled back."""
        if not self._slot.lease_is_good(clock.now()):
            self._batch.forget_waiting()
            return False
        return atomic.finish(
            sql.django_connection(connection, direct=self._direct),
            self._batch.lease,
            task.run,
            result=result,
            is_step=task.step is not None,
            passed=passed,
            drops=drops,
            lifetime=self._lifetimes.of(definition.options, task.queue),
            home=self._session.home,
        )
