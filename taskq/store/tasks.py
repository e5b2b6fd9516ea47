"""The life of a task's lease: what a worker and a keeper may do to the tables.

The statements are in ``taskq.sql``; what they mean together is here. Every write
that ends a run names the worker and the attempt, and touches no row once either
has changed: that is the fence.
"""

from __future__ import annotations

import copy
import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from taskq import sql
from taskq.sql.django_cursor import is_djangos
from taskq.store.claims import ClaimRequest, ClaimResult, Lane
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
        self._wake = sql.enqueue_of(vendor).WAKE
        #: The leases under which workers hold tasks.
        self.leases = LeaseStore(connection, vendor)

    @property
    def home(self) -> str | None:
        """The schema of the tables that this sees, for :func:`finish_within`."""
        return self._connection.home

    @property
    def connection(self) -> sql.Connection:
        """For other statements on the same connection."""
        return self._connection

    # A task's lease

    def lanes(self, queues: Queues) -> list[Lane]:
        """What waits, most urgent lane first: by priority, then by due time."""
        rows = self._connection.rows(self._sql.LANES, {"queues": queues.listed})
        return _lanes(queues, rows)

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
        return _claim_result(self._connection.batch(*self._calls(worker, runs, request)), request)

    def begin_to_finish_and_claim(
        self, worker: int, runs: Iterable[Run], request: ClaimRequest
    ) -> Callable[[], ClaimResult] | None:
        """:meth:`finish_and_claim` without waiting for it, which what is returned does; None
        where that is not possible."""
        if isinstance(request.place, Queues) and self._must_look(request.place):
            return None
        answer = self._connection.begin(*self._calls(worker, runs, request))
        return None if answer is None else lambda: _claim_result(answer(), request)

    def _must_look(self, queues: Queues) -> bool:
        """Whether no statement finds the most urgent lane of these and claims from it."""
        return self._sql.CLAIM_FIRST is None or bool(queues.prefixes)

    def _calls(self, worker: int, runs: Iterable[Run], request: ClaimRequest) -> list[sql.Call]:
        place, limit, quick = request
        values = {"worker": worker, "limit": limit, "quick": list(quick)}
        if isinstance(place, Lane):
            where = {"queue": place.queue, "priority": place.priority}
            values = {**values, **where, "from_due": place.due, "from_id": place.id}
            claim = self._sql.CLAIM
        else:
            assert self._sql.CLAIM_FIRST is not None
            values, claim = {**values, "queues": place.listed}, self._sql.CLAIM_FIRST
        return [*sql.for_each(self._sql.FINISH, worker, runs), (claim, values)]

    def finish_and_look(
        self, worker: int, runs: Iterable[Run], queues: Queues
    ) -> tuple[set[int], list[Lane]]:
        """:meth:`finish` and :meth:`lanes` in one round trip."""
        *finished, rows = self._connection.batch(
            *sql.for_each(self._sql.FINISH, worker, runs),
            (self._sql.LANES, {"queues": queues.listed}),
        )
        return _ids(finished), _lanes(queues, rows)

    def finish(self, worker: int, runs: Iterable[Run]) -> set[int]:
        """Remove tasks that are done; the ids of those that were still ours."""
        return _ids(self._connection.batch(*sql.for_each(self._sql.FINISH, worker, runs)))

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
        free, written = _ids(answers[: len(lock)]), _ids(answers[len(lock) :])
        left = [run for run in runs if run[0] not in free]
        if not left or self._sql.STILL_HELD is None:
            return written, set(), free - written
        held = sql.for_each(self._sql.STILL_HELD, worker, left)
        return written, _ids(self._connection.batch(*held)), free - written

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
        return _ids(given[: len(given) - len(wake)])

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
        return _ids(self._connection.batch(*calls))

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


def _lanes(queues: Queues, rows: list[tuple[Any, ...]]) -> list[Lane]:
    return [Lane(*row) for row in rows if queues.admit(row[0])]


#: The columns of a claim that are a Claimed. Before them comes the place in the lane, after them
#: when the last task of a full claim was due; then the lane's priority, and how many lanes had
#: due tasks, where the statement has found the lane itself.
_CLAIMED = slice(1, 1 + len(Claimed._fields))


def _claim_result(answers: list[list[tuple[Any, ...]]], request: ClaimRequest) -> ClaimResult:
    place, limit, _ = request
    *finished, rows = answers
    # RETURNING promises no order: sort by the place in the lane.
    rows.sort()
    tasks = [Claimed._make(row[_CLAIMED]) for row in rows]
    more, lanes = (place, None) if isinstance(place, Lane) else (None, 0)
    if rows:
        due, *found = rows[-1][_CLAIMED.stop :]
        if more is None:
            priority, lanes = found
            more = Lane(tasks[-1].queue, priority, 0.0, due, tasks[-1].id)
        elif due is not None:
            more.due, more.id = due, tasks[-1].id
    return ClaimResult(_ids(finished), tasks, more if len(tasks) == limit else None, lanes)


def _ids(answers: list[list[tuple[Any, ...]]]) -> set[int]:
    return {id for rows in answers for (id,) in rows}


def begin_within(
    connection: BaseDatabaseWrapper, *, direct: bool = True
) -> AbstractContextManager[object]:
    """Entered as an atomic block of Django's is opened, which :func:`finish_within` will end.

    direct: see :func:`connect`.
    """
    return sql.within_of(connection.vendor).begin_within(connection, direct=direct)


def finish_within(
    connection: BaseDatabaseWrapper,
    worker: int,
    run: Run,
    *,
    result: str | None = None,
    direct: bool = True,
    home: str | None = None,
) -> bool:
    """Finish a run in the transaction that its own code has open on Django's connection,
    and keep its result, if any; whether it was still ours. If not, that transaction must
    be rolled back.

    direct: see :func:`connect`. home: :attr:`TaskStore.home` of the connection that has claimed it.
        The code may have changed what the session sees under our tables' names.
    """
    statements, within = sql.of(connection.vendor), sql.within_of(connection.vendor)
    id, attempt = run
    values = {"worker": worker, "id": id, "attempt": attempt}
    # Refused where the task has marked its transaction for a rollback, which would take our
    # finish with it, silently.
    if result is None:
        finish = sql.qualified(statements.FINISH_ONE, home)
        return within.end_within(connection, finish, values, direct=direct)
    keep = [sql.qualified(each, home) for each in statements.KEEP]
    return within.keep_within(connection, keep, {**values, "value": result}, direct=direct)


def search_path(alias: str) -> str | None:
    """The schemas that this thread's connection looks in, where its backend is not Django's and so
    may choose them for each cursor: those of the tenant that this process serves. None for others,
    which have them from their settings."""
    connection = connections[alias]
    if connection.vendor != "postgresql" or is_djangos(connection):
        return None
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        path = str(cursor.fetchone()[0])
    connection.close()
    return path


def connect(
    alias: str,
    *,
    lease: float,
    name: str = "taskq",
    direct: bool = True,
    turn: sql.Turn | None = None,
    search_path: str | None = None,
) -> TaskStore:
    """Open a connection of our own to the queue's database, apart from Django's.

    lease: seconds; a dead network holds us for no more than a part of it.
    name: shown in pg_stat_activity.
    direct: it is ours alone; False where a pooler may give it to others between two
        transactions, so that nothing may be left behind in its session.
    turn: among the processes of a pool, on SQLite.
    search_path: see :func:`search_path`; of no use behind a pooler.
    """
    shared = connections[alias]
    driver = sql.driver_of(shared.vendor)
    settings = copy.deepcopy(shared.settings_dict)
    options = driver.connection_options(settings.get("OPTIONS", {}), lease, name)
    if search_path is not None and direct:
        path = search_path.replace("\\", "\\\\").replace(" ", "\\ ")
        options["options"] = f"{options.get('options', '')} -c search_path={path}".strip()
    settings["OPTIONS"] = options
    wrapper = type(shared)(settings, alias)
    wrapper.connect()
    return TaskStore(driver.Connection(wrapper, direct=direct, turn=turn), shared.vendor)
