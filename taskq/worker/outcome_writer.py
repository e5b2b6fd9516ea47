"""Writing to the queue what came of a run, however long the database is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pool import Slot, clock
from taskq import events
from taskq.database_errors import DATABASE_ERRORS, passes
from taskq.store.endings import Ending
from taskq.store.refusals import Refusal, concerns_all
from taskq.store.refused_outcome import RowKept, plain_refusal
from taskq.store.session import StoreSession
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Run
from taskq.worker.batch import Batch

#: Stands in a log line for a run whose task's name is forgotten.
_ENDED = "a finished task"


class OutcomeWriter:
    """Writes the outcomes of one worker's runs, each under the lease of its batch.

    lease: seconds of a lease.
    """

    def __init__(self, slot: Slot, batch: Batch, session: StoreSession, lease: float) -> None:
        self._slot = slot
        self._batch = batch
        self._session = session
        self._lease = lease
        self._refusal = Refusal(session.owner, "write an outcome")
        #: Nanoseconds that the end of the run in progress may take to write; 0 for no limit.
        self._limit = 0

    def write(self, run: Run, name: str, write: Callable[[TaskStore], bool]) -> bool:
        """Write an outcome. False if the task was no longer the worker's, or is not written.

        write: writes it on the connection that it is given. False if that touched no row.

        The task fails if the database refuses the outcome, or if the statement touches no row
        though the row is there.
        """
        try:
            ours = self._insist(write)
            if not ours:
                self._check_gone(run)
        except Exception as error:
            self._fail_plainly(run, name, error)
            return False
        if not ours:
            events.task_fenced(run[0], name)
        return ours

    def end(self, ending: Ending, name: str) -> bool:
        """Write at once how a run ended. Returns what :meth:`write` does."""
        return self._end_by(ending, name, lambda db: self._end(db, ending))

    def end_newest(self, ending: Ending, name: str) -> bool:
        """Write at once the newest ended run of the batch. If this takes long, the keeper may be
        the one who writes it."""

        def end(db: TaskStore) -> bool:
            return self._end(db, ending) or self._batch.keeper_has_newest

        ours = self._end_by(ending, name, end)
        self._batch.forget_newest()
        return ours

    def _end_by(self, ending: Ending, name: str, end: Callable[[TaskStore], bool]) -> bool:
        ours = self.write(ending.run, name, end)
        if ours and ending.passes:
            self._batch.note_passed(ending.id)
        return ours

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Give the writes of one outcome a time limit of their own.

        The time limit of a task is for its function. To write the outcome may take as long again,
        and longer than the worker needs to notice that the database is away.
        """
        slot = self._slot
        run = slot.hard_deadline - slot.since
        self._limit = max(run, clock.nanoseconds(self._lease / 2))
        self._extend_limit()
        try:
            yield
        finally:
            slot.hard_deadline = self._limit = 0

    # Ended runs of the batch

    def write_ended(self) -> None:
        """Write the ended runs of the batch, together."""
        if not self._batch.empty:
            self._batch.write(self._session.store())
            self.check_untouched()

    def write_one_by_one(self) -> None:
        """Write the ended runs of the batch, and release what waits for them, after the database
        has refused that together."""
        while (ending := self._batch.oldest) is not None:
            self.end(ending, _ENDED)
            self._batch.forget_oldest()
        with suppress(*DATABASE_ERRORS):  # it may pass: the next claim releases them
            for id, error in self._batch.release_one_by_one(self._session.store()):
                events.refused(self._session.owner, f"release what waits for task #{id}", error)

    def make_room(self) -> None:
        """Empty the finish log, if the database allows it now. Otherwise the next claim meets the
        same error, and handles it."""
        with suppress(*DATABASE_ERRORS):
            self.write_ended()

    def check_untouched(self) -> None:
        """Check ended runs whose statement touched no row."""
        for run in self._batch.pop_untouched():
            self.write(run, _ENDED, lambda _: False)

    # One write

    def _insist(self, write: Callable[[TaskStore], bool]) -> bool:
        """Write, however long the database is away. Raises what the database refuses it for.

        It cannot go on for ever: the supervisor kills this worker when the lease ends, or at the
        time limit of the run. That limit does not count while the database is away.
        """
        refused = False
        while True:
            try:
                ours = write(self._session.store())
            except Exception as error:
                if concerns_all(error):
                    self._batch.forget_waiting()
                    time.sleep(self._session.lost(error))
                    self._extend_limit()
                elif passes(error):
                    time.sleep(self._refusal.came(error))
                elif refused:
                    raise
                else:
                    # The refusal counts only if a new session refuses the write too.
                    refused = True
                    self.begin_anew()
            else:
                self._refusal.over()
                return ours

    def begin_anew(self) -> None:
        """Connect again before the next statement."""
        self._batch.forget_waiting()
        self._session.close()

    def _end(self, db: TaskStore, ending: Ending) -> bool:
        """Write how a run ended; whether it was this worker's. A step that cannot be released is no
        fault of the part that ends here."""
        try:
            return ending.id in db.end(self._batch.lease, [ending])
        except Exception as error:
            if passes(error) or not ending.passes:
                raise
            return ending.id in db.end(self._batch.lease, [ending], release=False)

    def _check_gone(self, run: Run) -> None:
        """Called when a statement touched no row. Raises RowKept if the worker holds the run all
        the same."""
        if self._insist(lambda db: db.holds(self._batch.lease, run)):
            raise RowKept

    def _extend_limit(self) -> None:
        if self._limit:
            self._slot.hard_deadline = clock.now() + self._limit

    def _fail_plainly(self, run: Run, name: str, error: Exception) -> None:
        """Keep the refusal of an outcome as the task's error. If that is refused too, let go of
        the task: then the lease's end charges it with a loss."""
        id, _ = run
        text = plain_refusal(error)
        try:
            ours = self._insist(lambda db: db.fail_plainly(self._batch.lease, run, text))
            if not ours:
                self._check_gone(run)
        except Exception as again:
            events.outcome_refused(id, name, text, again)
            self._slot.unwritten_task = id
            self._batch.forget_waiting()
            return
        if ours:
            self._slot.failed += 1
            events.outcome_unwritten(id, name, text)
        else:
            events.task_fenced(id, name)
