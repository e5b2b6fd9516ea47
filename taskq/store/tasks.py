"""The life of a task's lease: what a worker and a keeper may do to the tables.

The statements are in ``taskq.sql``; what they mean together is here. Every write
that ends a run names the worker and the attempt, and touches no row once either
has changed: that is the fence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from taskq import sql
from taskq.store import releasing
from taskq.store.claims import (
    ClaimRequest,
    ClaimResult,
    Lane,
    claim_result,
    ids_of,
    lanes_of,
)
from taskq.store.endings import Ending, calls
from taskq.store.leases import LeaseStore
from taskq.store.losses import LossStore
from taskq.store.partitions import PartitionStore
from taskq.store.pruning import PruneStore
from taskq.store.releasing import NO_PARTS, Parts
from taskq.store.runs import RunStore
from taskq.store.stacks import StackStore
from taskq.store.statistics import StatisticsStore
from taskq.store.workflows import WorkflowStore
from taskq.task.claimed import Claimed, Run
from taskq.task.queues import Queues


class TaskStore:
    """The table of tasks, over one connection. Each method is one transaction.

    Raises django.db's or the driver's errors when the database is not there.
    """

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.of(vendor)
        self._claims = sql.claims_of(vendor)
        self._flows = sql.workflows_of(vendor)
        self._wake = sql.enqueue_of(vendor).WAKE
        #: The leases under which workers hold tasks.
        self.leases = LeaseStore(connection, vendor)
        #: The days of the finished tasks that are kept.
        self.partitions = PartitionStore(connection, vendor)
        self.pruning = PruneStore(connection, vendor)
        self.runs = RunStore(connection, vendor)
        self.statistics = StatisticsStore(connection)
        self.losses = LossStore(connection, vendor)
        self.stacks = StackStore(connection, vendor)
        self.workflows = WorkflowStore(connection, vendor)

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
        return self.end_and_claim(worker, (), ClaimRequest(lane, limit, quick)).tasks

    def end_and_claim(
        self,
        worker: int,
        endings: Sequence[Ending],
        request: ClaimRequest,
        parts: Parts = NO_PARTS,
    ) -> ClaimResult:
        """:meth:`end` and :meth:`claim` in one transaction and one round trip."""
        if isinstance(request.place, Queues) and self._must_look(request.place):
            due = [lane for lane in self.lanes(request.place) if lane.wait <= 0]
            if not due:
                return ClaimResult(self.end(worker, endings, parts), [], None, 0)
            result = self.end_and_claim(worker, endings, request._replace(place=due[0]), parts)
            return result._replace(lanes=len(due))
        ending, release = self._endings(worker, endings, parts)
        answers = self._connection.batch(*ending, *release, self._claim(worker, request))
        return claim_result(answers[: len(ending)], answers[-1], request)

    def begin_to_end(
        self,
        worker: int,
        endings: Sequence[Ending],
        request: ClaimRequest | None,
        parts: Parts = NO_PARTS,
    ) -> Callable[[], ClaimResult] | None:
        """:meth:`end_and_claim` without waiting for the answer, or without a request :meth:`end`.

        Returns a function that waits. None where that is not possible.
        """
        if request and isinstance(request.place, Queues) and self._must_look(request.place):
            return None
        ending, release = self._endings(worker, endings, parts)
        claim = [self._claim(worker, request)] if request else []
        answer = self._connection.begin(*ending, *release, *claim)
        if answer is None:
            return None

        def wait() -> ClaimResult:
            answers = answer()
            ended = answers[: len(ending)]
            if request is None:
                return ClaimResult(ids_of(ended), [], None, None)
            return claim_result(ended, answers[-1], request)

        return wait

    def _must_look(self, queues: Queues) -> bool:
        """Whether no statement finds the most urgent lane of these and claims from it."""
        return self._claims.CLAIM_FIRST is None or queues.must_be_looked_for

    def _endings(
        self, worker: int, endings: Sequence[Ending], parts: Parts
    ) -> tuple[list[sql.Call], list[sql.Call]]:
        """The statements that write these ends, and those that release what waits for them."""
        return calls(self._sql, worker, endings), releasing.calls(self._flows, endings, parts)

    def _claim(self, worker: int, request: ClaimRequest) -> sql.Call:
        place, limit, quick, described = request
        values = {
            "worker": worker,
            "limit": limit,
            "quick": list(quick),
            "described": list(described),
        }
        if isinstance(place, Lane):
            where = {"queue": place.queue, "priority": place.priority}
            values = {**values, **where, "from_due": place.due, "from_id": place.id}
            claim = self._claims.CLAIM
        else:
            assert self._claims.CLAIM_FIRST is not None
            values, claim = {**values, "queues": place.listed}, self._claims.CLAIM_FIRST
        return claim, values

    def end_and_look(
        self,
        worker: int,
        endings: Sequence[Ending],
        queues: Queues,
        parts: Parts = NO_PARTS,
    ) -> tuple[set[int], list[Lane]]:
        """:meth:`end` and :meth:`lanes` in one round trip."""
        ending, release = self._endings(worker, endings, parts)
        look = (self._claims.LANES, {"queues": queues.listed})
        answers = self._connection.batch(*ending, *release, look)
        return ids_of(answers[: len(ending)]), lanes_of(queues, answers[-1])

    def end(
        self,
        worker: int,
        endings: Sequence[Ending],
        parts: Parts = NO_PARTS,
        *,
        release: bool = True,
    ) -> set[int]:
        """Write how runs ended, and release what waits for them. The ids of those that were still
        this worker's.

        release: False to release nothing: the database refuses that.
        """
        ends, releases = self._endings(worker, endings, parts)
        answers = self._connection.batch(*ends, *(releases if release else ()))
        return ids_of(answers[: len(ends)])

    def end_if_free(
        self, worker: int, endings: Sequence[Ending]
    ) -> tuple[set[int], set[int], set[int]]:
        """:meth:`end` for a worker that cannot, without waiting for anybody.

        The ids of those that are ended; of those that somebody has locked; and of those that
        are free, and that the database keeps all the same.
        """
        rows, runs = self._connection.rows, [ending.run for ending in endings]
        with self._connection.transaction():
            lock = sql.for_each(self._sql.LOCK_IF_FREE, worker, runs)
            free = ids_of([rows(*call) for call in lock])
            ours = [ending for ending in endings if ending.id in free]
            ended = ids_of([rows(*call) for call in calls(self._sql, worker, ours)])
        left = [run for run in runs if run[0] not in free]
        if not left or self._sql.STILL_HELD is None:
            return ended, set(), free - ended
        held = sql.for_each(self._sql.STILL_HELD, worker, left)
        return ended, ids_of(self._connection.batch(*held)), free - ended

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
        :func:`taskq.store.endings.fail`."""
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

    # The connection

    def listen(self) -> None:
        """Hear wake-ups on this connection."""
        self._connection.listen()

    def fileno(self) -> int | None:
        """What turns readable when an enqueuer sends a wake-up; None to be polled."""
        return self._connection.fileno()

    def has_answered(self) -> bool:
        """Whether the answer to what was begun has come: to read it takes no wait."""
        return self._connection.has_answered()

    def woken(self) -> Counter[str]:
        """How many wake-ups came since the last call, by what they may say: taskq.sql.WORK,
        CANCEL, STACK."""
        return self._connection.woken()

    def close(self) -> None:
        self._connection.close()
