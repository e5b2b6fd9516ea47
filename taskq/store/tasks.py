"""The life of a task's lease: what a worker and a keeper may do to the tables.

The statements are in ``taskq.sql``; what they mean together is here. Every write
that ends a run names the worker and the attempt, and touches no row once either
has changed: that is the fence.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from taskq import sql
from taskq.store.claims import (
    ClaimRequest,
    ClaimResult,
    Lane,
    claim_result,
    ids_of,
    lanes_of,
)
from taskq.store.leases import LeaseStore
from taskq.task.claimed import Claimed, Run
from taskq.task.progress import Progress
from taskq.task.queues import Queues


class TaskStore:
    """The table of tasks, over one connection. Each method is one transaction.

    Raises django.db's or the driver's errors when the database is not there.
    """

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.of(vendor)
        self._claims = sql.claims_of(vendor)
        self._wake = sql.enqueue_of(vendor).WAKE
        #: The leases under which workers hold tasks.
        self.leases = LeaseStore(connection, vendor)

    @property
    def home(self) -> str | None:
        """The schema of the tables that this sees, for :func:`taskq.store.atomic.finish`."""
        return self._connection.home

    @property
    def connection(self) -> sql.Connection:
        """For other statements on the same connection."""
        return self._connection

    # A task's lease

    def lanes(self, queues: Queues) -> list[Lane]:
        """What waits, most urgent lane first: by priority, then by due time."""
        rows = self._connection.rows(self._claims.LANES, {"queues": queues.listed})
        return lanes_of(queues, rows)

    def claim(self, worker: int, lane: Lane, limit: int, quick: Sequence[str]) -> list[Claimed]:
        """Claim due tasks of a lane, in order of due time, then id.

        More than one only as far as all of them are ``quick`` by name and none was
        ever there when a worker was lost. Nothing for a worker without a good lease.
        The lane remembers where the claim ended.
        """
        return self.finish_and_claim(worker, (), ClaimRequest(lane, limit, quick)).tasks

    def finish_and_claim(
        self, worker: int, runs: Iterable[Run], request: ClaimRequest
    ) -> ClaimResult:
        """:meth:`finish` and :meth:`claim` in one transaction and one round trip."""
        if isinstance(request.place, Queues) and self._must_look(request.place):
            due = [lane for lane in self.lanes(request.place) if lane.wait <= 0]
            if not due:
                return ClaimResult(self.finish(worker, runs), [], None, 0)
            result = self.finish_and_claim(worker, runs, request._replace(place=due[0]))
            return result._replace(lanes=len(due))
        return claim_result(self._connection.batch(*self._calls(worker, runs, request)), request)

    def begin_to_finish_and_claim(
        self, worker: int, runs: Iterable[Run], request: ClaimRequest
    ) -> Callable[[], ClaimResult] | None:
        """:meth:`finish_and_claim` without waiting for it, which what is returned does; None
        where that is not possible."""
        if isinstance(request.place, Queues) and self._must_look(request.place):
            return None
        answer = self._connection.begin(*self._calls(worker, runs, request))
        return None if answer is None else lambda: claim_result(answer(), request)

    def _must_look(self, queues: Queues) -> bool:
        """Whether no statement finds the most urgent lane of these and claims from it."""
        return self._claims.CLAIM_FIRST is None or bool(queues.prefixes)

    def _calls(self, worker: int, runs: Iterable[Run], request: ClaimRequest) -> list[sql.Call]:
        place, limit, quick = request
        values = {"worker": worker, "limit": limit, "quick": list(quick)}
        if isinstance(place, Lane):
            where = {"queue": place.queue, "priority": place.priority}
            values = {**values, **where, "from_due": place.due, "from_id": place.id}
            claim = self._claims.CLAIM
        else:
            assert self._claims.CLAIM_FIRST is not None
            values, claim = {**values, "queues": place.listed}, self._claims.CLAIM_FIRST
        return [*sql.for_each(self._sql.FINISH, worker, runs), (claim, values)]

    def finish_and_look(
        self, worker: int, runs: Iterable[Run], queues: Queues
    ) -> tuple[set[int], list[Lane]]:
        """:meth:`finish` and :meth:`lanes` in one round trip."""
        *finished, rows = self._connection.batch(
            *sql.for_each(self._sql.FINISH, worker, runs),
            (self._claims.LANES, {"queues": queues.listed}),
        )
        return ids_of(finished), lanes_of(queues, rows)

    def finish(self, worker: int, runs: Iterable[Run]) -> set[int]:
        """Remove tasks that are done; the ids of those that were still ours."""
        return ids_of(self._connection.batch(*sql.for_each(self._sql.FINISH, worker, runs)))

    def finish_if_free(
        self, worker: int, runs: Sequence[Run]
    ) -> tuple[set[int], set[int], set[int]]:
        """:meth:`finish` for a worker that cannot, without waiting for anybody.

        The ids of those that are finished; of those that somebody has locked; and of those that
        are free, and that the database keeps all the same.
        """
        lock = sql.for_each(self._sql.LOCK_IF_FREE, worker, runs)
        finish = sql.for_each(self._sql.FINISH_IF_FREE, worker, runs)
        answers = self._connection.batch(*lock, *finish)
        free, written = ids_of(answers[: len(lock)]), ids_of(answers[len(lock) :])
        left = [run for run in runs if run[0] not in free]
        if not left or self._sql.STILL_HELD is None:
            return written, set(), free - written
        held = sql.for_each(self._sql.STILL_HELD, worker, left)
        return written, ids_of(self._connection.batch(*held)), free - written

    def keep(self, worker: int, run: Run, result: str) -> bool:
        """Remove a task that is done and keep what it returned; whether it was still ours."""
        values = {"worker": worker, "id": run[0], "attempt": run[1], "value": result}
        kept, *undone = self._connection.batch(*((each, values) for each in self._sql.KEEP))
        return len(kept) == 1 and not any(undone)

    def holds(self, worker: int, run: Run) -> bool:
        """Whether a run is still this worker's."""
        values = {"worker": worker, "id": run[0], "attempt": run[1]}
        return bool(self._connection.rows(self._sql.HOLDS, values))

    def held_by(self, worker: int) -> list[Run]:
        """The runs that a worker holds, begun or not."""
        rows = self._connection.rows(self._sql.HELD_BY, {"worker": worker})
        return [(id, attempt) for id, attempt in rows]

    def give_back(self, worker: int, runs: Iterable[Run], *, wait: bool = True) -> set[int]:
        """Release tasks that were not started, as if never claimed, and wake a pool for them.

        wait: for who has locked one, rather than pass over it.
        """
        statement = self._sql.GIVE_BACK if wait else self._sql.GIVE_BACK_IF_FREE
        wake: list[sql.Call] = [(self._wake, {})] if self._wake else []
        given = self._connection.batch(*sql.for_each(statement, worker, runs), *wake)
        return ids_of(given[: len(given) - len(wake)])

    def retry(
        self,
        worker: int,
        run: Run,
        *,
        when: datetime.datetime | None,
        delay: float,
        error: str,
        traceback: str,
        kind: str | None = None,
    ) -> bool:
        """Have it run again, at a time or after seconds; whether it was still ours.

        kind: the path of the error's class, where the task keeps what came of each run.
        """
        more = {
            "when": when,
            "delay": delay,
            "error": error,
            "traceback": traceback,
            "kind": kind,
        }
        return self._one(self._sql.RETRY, worker, run, more)

    def fail(
        self, worker: int, run: Run, *, error: str, traceback: str, kind: str | None = None
    ) -> bool:
        """Keep it as failed; whether it was still ours. kind: see :meth:`retry`."""
        more = {"error": error, "traceback": traceback, "kind": kind}
        return self._one(self._sql.FAIL, worker, run, more)

    def lose(
        self,
        worker: int,
        run: Run,
        *,
        delay: float,
        error: str,
        traceback: str,
        kind: str | None = None,
    ) -> tuple[int, bool] | None:
        """Charge it with a loss and have it run again after seconds, or keep it as failed; its
        losses, and whether it failed. None when it was not ours any more. kind: see
        :meth:`retry`."""
        more = {"delay": delay, "error": error, "traceback": traceback, "kind": kind}
        values = {"worker": worker, "id": run[0], "attempt": run[1], **more}
        rows = self._connection.rows(self._sql.LOSE, values)
        return (rows[0][0], bool(rows[0][1])) if rows else None

    def fail_plainly(self, worker: int, run: Run, error: str) -> bool:
        """Keep it as failed by the least of statements; whether it was still ours."""
        return self._one(self._sql.FAIL_PLAINLY, worker, run, {"error": error})

    def defer(self, worker: int, run: Run, delay: float) -> bool:
        """Release a task that is unknown here, to be looked at again after seconds."""
        return self._one(self._sql.DEFER, worker, run, {"delay": delay})

    def _one(self, statement: str, worker: int, run: Run, more: Mapping[str, object]) -> bool:
        values = {"worker": worker, "id": run[0], "attempt": run[1], **more}
        return self._connection.count(statement, values) == 1

    # Runs in progress

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

    # What is over

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
            some(self._sql.PRUNE_RESULTS, result_ttl),
            some(self._sql.PRUNE_FAILED, failed_ttl),
            some(self._sql.PRUNE_KEYS, idempotency_ttl),
        )

    # The connection

    def listen(self) -> None:
        """Hear wake-ups on this connection."""
        self._connection.listen()

    def fileno(self) -> int | None:
        """What turns readable when an enqueuer sends a wake-up; None to be polled."""
        return self._connection.fileno()

    def woken(self) -> Counter[str]:
        """How many wake-ups came since the last call, by what they may say: taskq.sql.WORK,
        CANCEL."""
        return self._connection.woken()

    def close(self) -> None:
        self._connection.close()
