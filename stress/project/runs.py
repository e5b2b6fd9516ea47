"""The history of the project: each run of a task records its start and its end."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stress.rig.history import History
from taskq.context import current_request


@functools.cache
def _history() -> History:
    return History(os.environ.get("TASKQ_HISTORY", os.devnull))


def note(kind: str, **fields: Any) -> None:
    """Append a record to the file that TASKQ_HISTORY names."""
    _history().record(kind, **fields)


def started(key: Any, **fields: Any) -> None:
    """Record the start of a run: the parent of its process, how often its task lost a worker,
    and how often it was claimed."""
    request = current_request()
    told = {} if request is None else {"losses": request.losses, "attempt": request.attempt}
    note("start", key=key, parent=os.getppid(), **told, **fields)


@contextmanager
def run(key: Any, **fields: Any) -> Iterator[None]:
    """Record the start of a run with these fields, and its end."""
    started(key, **fields)
    try:
        yield
    except BaseException as error:
        note("raised", key=key, error=type(error).__name__)
        raise
    note("end", key=key)
