"""Runs in progress: which are cancelled or held, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from taskq import sql
from taskq.store.claims import ids_of
from taskq.task.claimed import Run
from taskq.task.progress import Progress


class RunStore:
    """The rows of tasks that run, over one connection. Each method is one transaction."""

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.of(vendor)

    def cancelled(self, workers: Sequence[int]) -> list[tuple[int, Run]]:
        """The runs under these leases whose tasks were cancelled: worker, run."""
        rows = self._connection.rows(self._sql.CANCELLED_RUNS, {"workers": list(workers)})
        return [(worker, (id, attempt)) for worker, id, attempt in rows]

    def held(self, runs: Iterable[Run]) -> set[tuple[int, Run]]:
        """Of these runs those that a worker holds: worker, run."""
        rows = self._connection.rows(self._sql.HELD_RUNS, {"ids": sql.Ids(id for id, _ in runs)})
        return {(worker, (id, attempt)) for worker, id, attempt in rows}

    def set_progress(
        self, found: Iterable[tuple[int, Run, Progress]], *, wait: bool = True
    ) -> set[int]:
        """Write how far runs are, as far as they are still those of these workers; the ids of
        those that were written. wait: for who has locked one, rather than pass over it."""
        statement = self._sql.PROGRESS if wait else self._sql.PROGRESS_IF_FREE
        calls: list[sql.Call] = []
        for worker, (id, attempt), progress in found:
            values = {"worker": worker, "id": id, "attempt": attempt}
            calls.append((statement, {**values, "progress": progress.stored(attempt)}))
        return ids_of(self._connection.batch(*calls))

    def say_state(self, worker: int, run: Run, said: str) -> bool:
        """Write what a run says of its state; whether it was still this worker's."""
        values = {"worker": worker, "id": run[0], "attempt": run[1], "said": said}
        return self._connection.count(self._sql.SAY_STATE, values) == 1
