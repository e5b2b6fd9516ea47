"""Waiting for another task's result inside of a task."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from taskq.task import request

_allowed: ContextVar[bool] = ContextVar("taskq_may_join", default=False)


@contextmanager
def allow_join_result() -> Iterator[None]:
    """A context manager in which a task may wait for the result of another.

    Without it ``AsyncResult.get()`` refuses that: where each worker waits, none is left to run the
    others.
    """
    token = _allowed.set(True)
    try:
        yield
    finally:
        _allowed.reset(token)


def refuse_in_a_task() -> None:
    """Raise RuntimeError when a task's code waits for a result, unless that was allowed. Threads
    that the task has started count too."""
    run = request.current_request()
    in_a_task = run is not None and not run.is_eager
    if threading.current_thread() is not threading.main_thread():  # it has its own context
        in_a_task |= request.runs_a_task()
    if in_a_task and not _allowed.get():
        raise RuntimeError(
            f"{'a task' if run is None else run.name} would wait for another's result: where every "
            "worker waits, none is left to run the others. Send what follows from the other task, "
            "read its result in a later run (retry()), or say get(disable_sync_subtasks=False)"
        )
