"""What a worker holds: claimed tasks that wait their turn, and finished runs that
are not written yet.

Both are short-lived. A batch exists only of tasks known to be quick; when one
of them takes long after all, a thread writes what is finished and gives back
what waits, so that nobody waits behind it. That thread takes the same lock as
the worker does to start the next task: a task is never given back while it is
being started.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

from pool import clock
from pool.backoff import Backoff
from pool.finish_log import FinishLog
from taskq.claims import Claimed, Haul, Lane, Run, Wanted
from taskq.database_errors import DATABASE_ERRORS
from taskq.leases import Leases
from taskq.link import Link
from taskq.queues import Queues

#: Seconds that a run may take while others wait behind it.
OVERRUN = 0.050
#: Seconds between looks at it: what waits is given back before a tenth of a second is over.
_ROUND = 0.040


class Hand:
    """The tasks of one worker under one lease.

    unwritten: where its finished runs stand for whoever buries it, in the same order as here.
    """

    def __init__(self, finish_log: FinishLog) -> None:
        self.lock = threading.Lock()
        self.lease = 0
        self._finish_log = finish_log
        #: We may hold tasks that we do not know of: a claim or release went unanswered.
        self.in_doubt = False
        self._waiting: deque[Claimed] = deque()
        self._finished: list[Run] = []
        #: Were to be given back, and nobody knows whether they are.
        self._leaving: list[Run] = []
        #: A claim that is on its way, and how many of the finished runs go with it.
        self._reached: Callable[[], Haul] | None = None
        self._going = 0
        self._started = 0

    def take(self) -> Claimed | None:
        """The next task to run."""
        with self.lock:
            if not self._waiting:
                return None
            self._started = clock.now()
            return self._waiting.popleft()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        return not (self._waiting or self._finished or self._reached or self._leaving)

    def hold_under(self, lease: int) -> None:
        """From now on what is claimed is held under this lease; nothing is held under the last."""
        with self.lock:
            self.lease = lease
            self._finish_log.start(lease)

    @property
    def full(self) -> bool:
        """Whether no more can be put off."""
        return self._finish_log.full

    def put_off(self, run: Run) -> None:
        """A run is done; write it with others, later."""
        with self.lock:
            self._finished.append(run)
            self._finish_log.add(*run)

    def refill(self, leases: Leases, wanted: Wanted) -> tuple[Haul, list[int]]:
        """Write the finished runs and claim more, both or neither. Nothing may be on its way.

        What came, and the ids of the finished that were no longer ours.
        """
        with self.lock:
            haul = leases.finish_and_claim(self.lease, self._finished, wanted)
            return haul, self._take_in(haul, len(self._finished))

    def reach(self, leases: Leases, wanted: Wanted) -> bool:
        """Begin to :meth:`refill` while something runs; whether that is possible."""
        with self.lock:
            if self.in_doubt:
                return False
            self._reached = leases.begin_to_finish_and_claim(self.lease, self._finished, wanted)
            self._going = len(self._finished)
            return self._reached is not None

    @property
    def reaching(self) -> bool:
        return self._reached is not None

    def grasp(self) -> tuple[Haul, list[int]] | None:
        """End what :meth:`reach` began, with what :meth:`refill` returns; None if nothing is
        on its way."""
        with self.lock:
            return self._grasp()

    def look(self, leases: Leases, queues: Queues) -> tuple[list[Lane], list[int]]:
        """Write the finished runs and look at the lanes.

        The lanes, and the ids of the finished that were no longer ours.
        """
        with self.lock:
            ours, lanes = leases.finish_and_look(self.lease, self._finished, queues)
            return lanes, self._written(ours, len(self._finished))

    def write(self, leases: Leases) -> list[int]:
        """Write the finished runs; the ids of those that were no longer ours.

        They are forgotten only once the database has answered.
        """
        with self.lock:
            _, fenced = self._grasp() or (None, [])
            return fenced + self._write(leases)

    def give_back(self, leases: Leases, still: Callable[[], bool] = lambda: True) -> int:
        """Write the finished runs and release what waits; how many were released.

        still: whether to, asked when nothing else is under way. A claim that was has brought new
            tasks.
        """
        with self.lock:
            if not still():
                return 0
            self._grasp()
            self._write(leases)
            # Forgotten first: if the database does not answer, they may be released.
            self._leaving += [task.run for task in self._waiting]
            self._waiting.clear()
            if not self._leaving:
                return 0
            with self._in_doubt_unless_answered():
                given = len(leases.give_back(self.lease, self._leaving))
            self._leaving.clear()
            return given

    def drop(self) -> None:
        """Forget what waits: the lease is gone, or will be given up."""
        with self.lock:
            self._let_go()
            self.in_doubt = True

    @property
    def oldest(self) -> Run | None:
        """The first of the finished runs that are not written."""
        return self._finished[0] if self._finished else None

    def forget_oldest(self) -> None:
        """It is written, or never will be."""
        with self.lock:
            self._written({self._finished[0][0]}, 1)

    def renounce(self) -> None:
        """Forget everything, finished runs too: the lease is gone."""
        with self.lock:
            self._let_go()
            self._finished.clear()
            self._finish_log.clear()
            self.in_doubt = False

    def overrun(self) -> bool:
        """Whether others wait behind a run that takes long."""
        return not self.empty and clock.now() - self._started > clock.nanoseconds(OVERRUN)

    def _write(self, leases: Leases) -> list[int]:
        if not self._finished:
            return []
        ours = leases.finish(self.lease, self._finished)
        return self._written(ours, len(self._finished))

    def _grasp(self) -> tuple[Haul, list[int]] | None:
        if self._reached is None:
            return None
        answer, self._reached = self._reached, None
        with self._in_doubt_unless_answered():
            haul = answer()
        return haul, self._take_in(haul, self._going)

    @contextmanager
    def _in_doubt_unless_answered(self) -> Iterator[None]:
        doubted, self.in_doubt = self.in_doubt, True
        yield  # an error leaves it at that
        self.in_doubt = doubted

    def _let_go(self) -> None:
        # What is on its way is read: as long as nobody does, a large answer holds up the server
        # in the middle of the claim, and with it whoever ends our lease.
        with suppress(*DATABASE_ERRORS):
            self._grasp()
        self._waiting.clear()
        self._leaving.clear()

    def _take_in(self, haul: Haul, going: int) -> list[int]:
        self._waiting.extend(haul.tasks)
        self._started = clock.now()  # none of these has waited yet
        return self._written(haul.ours, going)

    def _written(self, ours: set[int], going: int) -> list[int]:
        """Forget the first of the finished runs; the ids of those that were no longer ours."""
        runs, self._finished = self._finished[:going], self._finished[going:]
        self._finish_log.take_out(going)
        return [id for id, _ in runs if id not in ours]


class Reliever(threading.Thread):
    """Relieves a hand that is held up by a long run, or by a worker told to stop."""

    def __init__(self, hand: Hand, link: Link, stopping: Callable[[], bool]) -> None:
        super().__init__(name="taskq-reliever", daemon=True)
        self._hand = hand
        self._link = link
        self._stopping = stopping
        self._backoff = Backoff(first=_ROUND, limit=2.0)
        self._armed = threading.Event()

    def arm(self) -> None:
        """There is a batch to watch."""
        self._armed.set()

    def _is_needed(self) -> bool:
        return self._hand.overrun() or self._stopping()

    def run(self) -> None:
        while True:
            self._armed.wait()
            if self._hand.empty:
                self._armed.clear()
                if self._hand.empty:
                    continue
                self._armed.set()
            time.sleep(_ROUND)
            if self._is_needed():
                self._relieve()

    def _relieve(self) -> None:
        with suppress(*DATABASE_ERRORS):
            if (leases := self._link.current) is not None:
                self._hand.give_back(leases, self._is_needed)
                return
        # The worker connects again after its run, and that may take for ever.
        try:
            with closing(self._link.another()) as own:
                self._hand.give_back(own, self._is_needed)
            self._backoff.reset()
        except DATABASE_ERRORS:
            time.sleep(self._backoff.next())
