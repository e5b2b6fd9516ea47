"""What a worker holds: claimed tasks that wait their turn, and ended runs that are not written yet.

Both are held for a short time. If a run takes long, the keeper writes the ended runs and gives back
the tasks that wait (:mod:`taskq.keeper.overrun`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pool import clock
from pool.finish_log import FinishLog
from taskq.database_errors import DATABASE_ERRORS, passes
from taskq.store.claims import ClaimRequest, ClaimResult, Lane
from taskq.store.endings import Ending, passing
from taskq.store.refusals import concerns_all
from taskq.store.releasing import Parts
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Claimed, Run
from taskq.task.queues import Queues


class Batch:
    """The tasks of one worker under one lease.

    finish_log: holds the ended runs in the same order, in memory that outlives the worker. If the
        worker dies, the keeper writes them.
    served: the queues from which the worker claims; None for all.
    """

    def __init__(self, finish_log: FinishLog, served: list[str] | None = None) -> None:
        self.lease = 0
        self._finish_log = finish_log
        #: A claim, or a give-back, went unanswered: the lease may hold tasks that are not here.
        self.in_doubt = False
        self._waiting: deque[Claimed] = deque()
        self._ended: list[Ending] = []
        #: Since when somebody may wait to see an ended run that is not even sent; 0 for nobody.
        self.seen_since = 0
        #: Ended runs whose statement touched no row.
        self._untouched: list[Run] = []
        #: Steps of workflows whose end releases others: once more, after it is committed.
        self._parts = Parts(served=served)
        self._sent_parts = self._parts
        #: Runs of a give-back that went unanswered.
        self._leaving: list[Run] = []
        #: The answer to what was sent ahead, how many of the ended runs it writes, and whether it
        #: claims.
        self._answer: Callable[[], ClaimResult] | None = None
        self._sent = 0
        self._claims = False
        self._asked_at = 0
        #: When the claim that brought these tasks began.
        self.claimed_at = 0

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
        return not (self._waiting or self._ended or self._answer or self._leaving)

    @property
    def unsent(self) -> bool:
        """Whether there are ended runs that are not even sent."""
        return len(self._ended) > self._sent

    def hold_under(self, lease: int) -> None:
        """Hold what is claimed from now on under this lease. The batch must be empty."""
        self.lease = lease
        self._finish_log.start(lease)

    def end_later(self, ending: Ending) -> bool:
        """Keep the end of a run, to write it with others. False if there is no room for it."""
        data = ending.encoded()
        if not self._finish_log.add(ending.id, ending.attempt, data):
            return False
        self._ended.append(ending)
        if data and not self.seen_since:  # else nobody sees that it has ended
            self.seen_since = clock.now()
        return True

    @property
    def keeper_has_newest(self) -> bool:
        """Whether the keeper may have written the newest ended run."""
        return self._finish_log.newest_is_settled

    def forget_newest(self) -> None:
        """The newest ended run was written apart from the rest."""
        if self._finish_log.take_back():
            self._ended.pop()

    def claim(self, store: TaskStore, request: ClaimRequest) -> ClaimResult:
        """Write the ended runs and claim more tasks, both or neither. Not while a claim is on its
        way."""
        self.collect()
        self.claimed_at = clock.now()
        parts = self._parts
        result = store.end_and_claim(self.lease, self._ended, request, parts)
        self._released(parts)
        return self._add(result, len(self._ended))

    def send(self, store: TaskStore, request: ClaimRequest | None) -> bool:
        """Begin to :meth:`claim`, or without a request to :meth:`write`, and do not wait for the
        answer. Not while a claim is on its way. Returns False where that is not possible."""
        self.collect()
        if self.in_doubt:
            return False
        parts = self._parts if request is not None else self._parts.without_claim
        self._answer = store.begin_to_end(self.lease, self._ended, request, parts)
        if self._answer is None:
            return False
        self._sent_parts = self._parts
        self._sent, self._claims, self.seen_since = len(self._ended), request is not None, 0
        self._asked_at = clock.now()
        return True

    def awaits_answer(self, store: TaskStore) -> bool:
        """Whether the answer to what was sent is still on its way."""
        return self._answer is not None and not store.has_answered()

    @property
    def claims_ahead(self) -> bool:
        """Whether a claim that was sent is on its way."""
        return self._answer is not None and self._claims

    def collect(self) -> ClaimResult | None:
        """Read the answer to what was sent. None if there was no claim in it."""
        if self._answer is None:
            return None
        answer, self._answer = self._answer, None
        sent, self._sent = self._sent, 0
        with self._in_doubt_unless_answered():
            result = answer()
        self._released(self._sent_parts)
        self._add(result, sent)
        if not self._claims:
            return None
        self.claimed_at = self._asked_at
        return result

    def look(self, store: TaskStore, queues: Queues) -> list[Lane]:
        """Write the ended runs and look at the lanes."""
        self.collect()
        parts = self._parts
        ours, lanes = store.end_and_look(self.lease, self._ended, queues, parts)
        self._released(parts)
        self._written(ours, len(self._ended))
        return lanes

    def write(self, store: TaskStore) -> None:
        """Write the ended runs. They are forgotten only once the database has answered."""
        self.collect()
        if self._ended:
            parts = self._parts
            ours = store.end(self.lease, self._ended, parts.without_claim)
            self._released(parts)
            self._written(ours, len(self._ended))

    # The steps of workflows that wait for what has ended here

    def note_passed(self, id: int) -> None:
        """This step is done, and that is committed."""
        self._parts = self._parts._replace(passed=[*self._parts.passed, id])

    def note_stopped(self, id: int) -> None:
        """This step has failed, or is gone without an end."""
        self._parts = self._parts._replace(stopped=[*self._parts.stopped, id])

    def release(self, store: TaskStore, *, last: bool = False) -> bool:
        """Release what waits for steps that have ended here. Whether anything may have been.

        Their ends are written first: a step that has failed is told to others only then.

        last: this worker claims nothing any more.
        """
        ended = bool(self._parts.stopped) or bool(passing(self._ended))
        if not ended and not self._parts.any:
            return False
        self.write(store)
        parts = self._parts
        released = store.workflows.release(parts.without_claim if last else parts)
        self._released(parts)
        return bool(released or ended)

    def release_one_by_one(self, store: TaskStore) -> list[tuple[int, Exception]]:
        """Release what waits for steps that have ended here, for each of these by itself. The batch
        has no ended runs.

        Returns those for which the database refused it, with the errors. They are forgotten here,
        or nothing could be claimed any more. A keeper tries again.
        """
        refused: list[tuple[int, Exception]] = []
        for parts in self._parts.each:
            try:
                store.workflows.release(parts)
            except Exception as error:
                if passes(error):
                    raise
                refused += [(id, error) for id in (*parts.passed, *parts.stopped)]
        self._parts = Parts(served=self._parts.served)
        return refused

    def _released(self, parts: Parts) -> None:
        """These were sent, and that is committed. What has stopped may be one of two last parts."""
        if parts.any:
            passed = [*self._parts.passed[len(parts.passed) :], *parts.stopped]
            stopped = self._parts.stopped[len(parts.stopped) :]
            self._parts = self._parts._replace(passed=passed, stopped=stopped)

    def pop_untouched(self) -> list[Run]:
        """The ended runs whose statement touched no row, each once."""
        found, self._untouched = self._untouched, []
        return found

    def give_back(self, store: TaskStore) -> int:
        """Write the ended runs and give back what waits. How many tasks were given back."""
        self.write(store)
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
    def oldest(self) -> Ending | None:
        """The first of the ended runs."""
        return self._ended[0] if self._ended else None

    def forget_oldest(self) -> None:
        """The first of the ended runs is written, or never will be."""
        self._written({self._ended[0].id}, 1)

    def forget_all(self) -> None:
        """Forget everything, ended runs too: the lease is gone."""
        self._discard()
        self._ended.clear()
        self._finish_log.clear()
        self.seen_since = 0
        self.in_doubt = False

    @contextmanager
    def _in_doubt_unless_answered(self) -> Iterator[None]:
        doubted, self.in_doubt = self.in_doubt, True
        try:
            yield
        except Exception as error:
            if not concerns_all(error):  # it is an answer: all of it was rolled back
                self.in_doubt = doubted
            raise
        self.in_doubt = doubted

    def _discard(self) -> None:
        # Read the answer to what was sent, though it is not needed. Until then, a large answer
        # can hold up the server in the middle of the claim, and so the end of the lease.
        with suppress(*DATABASE_ERRORS):
            self.collect()
        self._waiting.clear()
        self._leaving.clear()

    def _add(self, result: ClaimResult, count: int) -> ClaimResult:
        self._waiting.extend(result.tasks)
        self._written(result.ours, count)
        return result

    def _written(self, ours: set[int], count: int) -> None:
        """Forget the first of the ended runs. Note those of them that touched no row."""
        written, self._ended = self._ended[:count], self._ended[count:]
        if not self._ended:
            self.seen_since = 0
        if passed := passing(written):
            self._parts = self._parts._replace(passed=[*self._parts.passed, *passed])
        elsewhere = self._finish_log.take_out(count)  # the keeper may have written these
        self._untouched += [each.run for each in written[elsewhere:] if each.id not in ours]
