"""Writes what a run says of its state, while it runs."""

from __future__ import annotations

import logging
import threading

from django.db import connections

from pool import Slot
from taskq import sql
from taskq.database_errors import DATABASE_ERRORS
from taskq.store.session import StoreSession
from taskq.task.own_state import OwnState
from taskq.worker.batch import Batch
from taskq.worker.interrupter import Interrupter

log = logging.getLogger("taskq")


class StateWriter:
    """Writes under the lease of a worker's batch, so a run that lost its task writes nothing.

    It uses the worker's own connection. So the state is seen at once, whatever transaction the task
    has open. Exceptions: in a thread of the task, which must not use that connection, and while
    SQLite's only writer is the task's own transaction. Then it uses Django's.
    """

    def __init__(
        self, slot: Slot, batch: Batch, session: StoreSession, interrupter: Interrupter, alias: str
    ) -> None:
        self._slot = slot
        self._batch = batch
        self._session = session
        self._interrupter = interrupter
        self._alias = alias

    def say(self, said: OwnState) -> None:
        """Write it. An error of the database is only logged: it must not fail the task."""
        slot = self._slot
        text = said.stored(slot.attempt)
        try:
            if self._may_use_own():
                with self._interrupter.held():  # an interruption would break the connection
                    run = slot.task_id, slot.attempt
                    self._session.store().runs.say_state(self._batch.lease, run, text)
            else:
                values: dict[str, str | int] = {
                    "worker": self._batch.lease,
                    "id": slot.task_id,
                    "attempt": slot.attempt,
                    "said": text,
                }
                with connections[self._alias].cursor() as cursor:
                    cursor.execute(sql.of(self._vendor).SAY_STATE, values)
        except DATABASE_ERRORS as error:
            log.warning("the state %s of #%d is not written: %s", said.state, slot.task_id, error)

    @property
    def _vendor(self) -> str:
        return connections[self._alias].vendor

    def _may_use_own(self) -> bool:
        if threading.current_thread() is not threading.main_thread():
            return False
        return self._vendor != "sqlite" or not connections[self._alias].in_atomic_block
