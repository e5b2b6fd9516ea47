"""A pool's worker in the test's own process, without a pool."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any

from asgiref.sync import async_to_sync

from pool import Child, Role, Scoreboard, clock
from taskq import conf
from taskq.exceptions import Retry, TaskFailed, UnknownTask
from taskq.keeper.workflows import WorkflowKeeper
from taskq.pool_context import PoolContext, scoreboard
from taskq.sql import Turn
from taskq.store.claims import Lane
from taskq.store.session import StoreSession
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Claimed, Run
from taskq.task.outcomes import Failed, Outcome, Retried
from taskq.task.queues import Queues
from taskq.task.registry import Definition
from taskq.testing.connection import SessionWithin
from taskq.testing.transactions import commits, mended
from taskq.worker.not_run import NotRun
from taskq.worker.outcome_writer import OutcomeWriter
from taskq.worker.pace import Pace
from taskq.worker.worker import Worker

#: Seconds of its lease, which nobody renews. No test takes a day.
LEASE = 86_400.0

#: What a task may raise as its own failure. Everything else is raised in the test: Ctrl-C, and
#: what pytest raises to fail or skip.
_TASKS_OWN = (Exception, SystemExit, asyncio.CancelledError)


@dataclass(frozen=True, slots=True)
class Concluded:
    """One run and its outcome. outcome: None for a task that had expired."""

    task: Claimed
    outcome: Outcome | None
    error: BaseException | None


class _Writer(OutcomeWriter):
    def write(self, run: Run, name: str, write: Callable[[TaskStore], bool]) -> bool:
        """Write once: the test gets the error if the database refuses the outcome."""
        return write(self._session.store())


class _NotRun(NotRun):
    def defer_unknown(self, task: Claimed) -> None:
        raise UnknownTask(
            f"task #{task.id} is called {task.name!r}, and no task of that name is known here: "
            "is it in the tasks.py of an installed app, or in a module of TASKQ['IMPORTS']?"
        )


class _OneByOne(Pace):
    """Each task is claimed alone and written at once: a test sees one step at a time."""

    def limit(self) -> int:
        return 1

    def is_quick(self, name: str) -> bool:
        return False


class InProcessWorker(Worker):
    """Claims, runs and finishes one task after the other, by :meth:`step`."""

    pace_class = _OneByOne
    writer_class = _Writer
    not_run_class = _NotRun

    def __init__(self, alias: str, queues: Queues) -> None:
        context = _Within(conf.settings(), queues, alias, supervisor=os.getpid())
        super().__init__(_Here(), context)
        self.workflows = WorkflowKeeper(self.session, every=0.0, between=lambda: None)
        self._last: Concluded | None = None
        self._error: BaseException | None = None

    @property
    def store(self) -> TaskStore:
        return self.session.store()

    def start_lease(self) -> None:
        name, pid, pool, host = self.child.name, os.getpid(), self.context.pool, self.context.host
        serves = self.context.queues.written
        id = self.store.leases.give(pool, host, [(name, pid)], LEASE, serves)[pid]
        self.slot.grant(id, self.slot.generation, clock.now() + clock.nanoseconds(LEASE))

    def end_lease(self) -> None:
        """Retire the lease: the tasks that it holds are reclaimed."""
        self.store.leases.retire(
            self.slot.held_lease(), ran=0, charge=False, cause="run_all() ended"
        )

    def step(self, lanes: list[Lane]) -> Concluded | None:
        """Run the next task of these lanes. None if other workers have claimed them all."""
        if not self.claimer.claim_from(lanes):
            return None
        task = self.batch.next()
        assert task is not None
        self._last = self._error = None
        # As in a pool, what a receiver of task_started sets ends with the run.
        copy_context().run(self.perform, task)
        self.writer.write_ended()
        if self._error is not None and not isinstance(self._error, _TASKS_OWN):
            raise self._error
        return self._last or Concluded(task, None, None)

    # Where it differs from a worker in a pool

    def execute(
        self, task: Claimed, definition: Definition, first: Sequence[object] = ()
    ) -> Outcome:
        function = definition.function
        if definition.is_async:
            # In a loop that lets the ORM use the test's connection.
            function = async_to_sync(function)
        watched = replace(definition, function=self._watched(function, definition))
        # An atomic task commits with its end, any other all the time.
        with commits() if definition.options.atomic else nullcontext():
            outcome = super().execute(task, watched, first)
        self._last = Concluded(task, outcome, self._error_of(outcome))
        return outcome

    def _watched(self, function: Callable[..., Any], definition: Definition) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                with nullcontext() if definition.options.atomic else commits(), mended():
                    return function(*args, **kwargs)
            except BaseException as error:
                self._error = error
                raise

        return call

    def _error_of(self, outcome: Outcome) -> BaseException | None:
        error = self._error
        asked = self.request.asked_retry if self.request is not None else None
        if asked is not None and isinstance(outcome, Retried):  # even if the task swallowed it
            error = asked
        if isinstance(error, Retry):
            error = error.exc if error.exc is not None else error.__context__
        if isinstance(outcome, Failed) and error is None:  # the function itself raised nothing
            error = TaskFailed(outcome.error, outcome.traceback)
        return error

    def is_sound(self, *, quick: bool) -> bool:
        """Always: the process and its transaction belong to the test."""
        return True

    def restore(self, name: str, now: int) -> None:
        """Nothing, for the same reason."""


class _Here(Child):
    """The test's process in the place of a pool's child."""

    def __init__(self) -> None:
        board = _scoreboard()
        role = Role(name="run_all", run=lambda child: 0)
        super().__init__(role, 1, board.slots[0], board, os.getpid(), "", first_try=True)

    def title(self, detail: str = "") -> None:
        pass


class _Within(PoolContext):
    def session(
        self, owner: str, turn: Turn | None = None, *, lock_wait: float | None = None
    ) -> StoreSession:
        return SessionWithin(self.alias)


@functools.cache
def _scoreboard() -> Scoreboard:
    """One scoreboard for all, as its pipes stay open."""
    board = scoreboard(1)
    board.slots[0].generation = 1  # generation 0 counts as asked to end
    return board
