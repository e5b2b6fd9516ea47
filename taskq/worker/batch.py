"""What a worker holds: claimed tasks that wait their turn, and finished runs that
are not written yet.

Both are held for a short time. Only tasks known to be quick are claimed together. If one of them
takes long after all, the keeper writes the finished runs and gives back the tasks that wait
(:mod:`taskq.keeper.overrun`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pool.finish_log import FinishLog
from taskq.database_errors import DATABASE_ERRORS
from taskq.store.claims import ClaimRequest, ClaimResult, Lane
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Claimed, Run
from taskq.task.queues import Queues


class Batch:
    """The tasks of one worker under one lease.

    finish_log: holds the finished runs in the same order, in memory that outlives the worker. If
        the worker dies, the keeper writes them.
    """

    def __init__(self, finish_log: FinishLog) -> None:
        self.lease = 0
        self._finish_log = finish_log
        #: A claim, or a give-back, went unanswered: the lease may hold tasks that are not here.
        self.in_doubt = False
        self._waiting: deque[Claimed] = deque()
        self._finished: list[Run] = []
        #: Runs of a give-back that went unanswered.
        self._leaving: list[Run] = []
        #: The answer of a claim ahead, and how many of the finished runs it writes.
        self._ahead: Callable[[], ClaimResult] | None = None
        self._finished_ahead = 0

    def next(self) -> Claimed | None:
        """The next task to run."""
        if not self._waiting:
            return None
        return self._waiting.popleft()

    def put_back(self, task: Claimed) -> None:
        """Return a task that is not to run now. It is the next again."""
        self._waiting.appendleft(task)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        return not (self._waiting or self._finished or self._ahead or self._leaving)

    def hold_under(self, lease: int) -> None:
        """Hold what is claimed from now on under this lease. The batch must be empty."""
        self.lease = lease
        self._finish_log.start(lease)

    def finish_later(self, run: Run) -> bool:
        """Keep a run that is done, to write it with others. False if there is no room for it."""
        if not self._finish_log.add(*run):
            return False
        self._finished.append(run)
        return True

    def forget_newest(self) -> None:
        """The newest finished run was written apart from the rest."""
        self._finished.pop()
        self._finish_log.take_back()

    def claim(self, store: TaskStore, request: ClaimRequest) -> tuple[ClaimResult, list[Run]]:
        """Write the finished runs and claim more tasks, both or neither. Not while a claim ahead
        is on its way.

        What came, and the finished runs that touched no row.
        """
        result = store.finish_and_claim(self.lease, self._finished, request)
        return result, self._add(result, len(self._finished))

    def claim_ahead(self, store: TaskStore, request: ClaimRequest) -> bool:
        """Begin to :meth:`claim`, without waiting for the answer. False where that is not
        possible."""
        if self.in_doubt:
            return False
        self._ahead = store.begin_to_finish_and_claim(self.lease, self._finished, request)
        self._finished_ahead = len(self._finished)
        return self._ahead is not None

    @property
    def claims_ahead(self) -> bool:
        """Whether a claim ahead is on its way."""
        return self._ahead is not None

    def collect(self) -> tuple[ClaimResult, list[Run]] | None:
        """Read the answer of :meth:`claim_ahead`: what :meth:`claim` returns. None if no claim is
        on its way."""
        return self._collect()

    def look(self, store: TaskStore, queues: Queues) -> tuple[list[Lane], list[Run]]:
        """Write the finished runs and look at the lanes.

        The lanes, and the finished runs that touched no row.
        """
        ours, lanes = store.finish_and_look(self.lease, self._finished, queues)
        return lanes, self._written(ours, len(self._finished))

    def write(self, store: TaskStore) -> list[Run]:
        """Write the finished runs. Those that touched no row.

        They are forgotten only once the database has answered.
        """
        _, untouched = self._collect() or (None, [])
        return untouched + self._write(store)

    def give_back(self, store: TaskStore) -> int:
        """Write the finished runs and give back what waits. How many tasks were given back."""
        self._collect()
        self._write(store)
        # Forgotten first: if the database does not answer, they may have been given back.
        self._leaving += [task.run for task in self._waiting]
        self._waiting.clear()
        if not self._leaving:
            return 0
        with self._in_doubt_unless_answered():
            given = len(store.give_back(self.lease, self._leaving))
        self._leaving.clear()
        return given

    def forget_waiting(self) -> None:
        """Forget the tasks that wait: the lease is gone, or will be given up."""
        self._discard()
        self.in_doubt = True

    @property
    def oldest(self) -> Run | None:
        """The first of the finished runs."""
        return self._finished[0] if self._finished else None

    def forget_oldest(self) -> None:
        """The first of the finished runs is written, or never will be."""
        self._written({self._finished[0][0]}, 1)

    def forget_all(self) -> None:
        """Forget everything, finished runs too: the lease is gone."""
        self._discard()
        self._finished.clear()
        self._finish_log.clear()
        self.in_doubt = False

    def _write(self, store: TaskStore) -> list[Run]:
        if not self._finished:
            return []
        ours = store.finish(self.lease, self._finished)
        return self._written(ours, len(self._finished))

    def _collect(self) -> tuple[ClaimResult, list[Run]] | None:
        if self._ahead is None:
            return None
        answer, self._ahead = self._ahead, None
        with self._in_doubt_unless_answered():
            result = answer()
        return result, self._add(result, self._finished_ahead)

    @contextmanager
    def _in_doubt_unless_answered(self) -> Iterator[None]:
        doubted, self.in_doubt = self.in_doubt, True
        yield  # an error leaves it at that
        self.in_doubt = doubted

    def _discard(self) -> None:
        # Read the answer of a claim ahead, though it is not needed. Until then, a large answer
        # can hold up the server in the middle of the claim, and so the end of the lease.
        with suppress(*DATABASE_ERRORS):
            self._collect()
        self._waiting.clear()
        self._leaving.clear()

    def _add(self, result: ClaimResult, count: int) -> list[Run]:
        self._waiting.extend(result.tasks)
        return self._written(result.ours, count)

    def _written(self, ours: set[int], count: int) -> list[Run]:
        """Forget the first of the finished runs. Those of them that touched no row."""
        runs, self._finished = self._finished[:count], self._finished[count:]
        elsewhere = self._finish_log.take_out(count)  # the keeper may have written these
        return [run for run in runs[elsewhere:] if run[0] not in ours]
