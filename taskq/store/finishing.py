"""A keeper writes the finished runs of a worker that can no longer do so itself."""

from __future__ import annotations

from collections.abc import Sequence

from taskq import events
from taskq.database_errors import passes
from taskq.store.refused_outcome import RowKept, plain_refusal
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Run


def finish_for(db: TaskStore, lease: int, done: Sequence[Run]) -> set[int]:
    """Write the finished runs of a lease, as far as the lease still holds their tasks.

    A task fails if the database refuses its outcome or keeps its row. Its worker does the same.

    Returns the ids of the locked tasks. They are written later.
    """
    try:
        written, locked, kept = db.finish_if_free(lease, done)
    except Exception as error:
        if passes(error):
            raise
        if len(done) > 1:  # refused together: try each alone
            return set().union(*(finish_for(db, lease, [run]) for run in done))
        _fail(db, lease, done[0], error)
        return set()
    if written:
        events.finishes_written(len(written), lease)
    for run in done:
        if run[0] in kept:
            _fail(db, lease, run, RowKept())
    return locked


def _fail(db: TaskStore, lease: int, run: Run, error: Exception) -> None:
    text = plain_refusal(error)
    try:
        ours = db.fail_plainly(lease, run, text)
    except Exception as again:
        if passes(again):
            raise
        # The task waits again, with the others that the lease held.
        events.outcome_refused(run[0], "a finished task", text, again)
        return
    if ours:
        events.outcome_unwritten(run[0], "a finished task", text)
