"""A keeper writes how the runs of a worker ended that can no longer do so itself."""

from __future__ import annotations

from collections.abc import Sequence

from taskq import events
from taskq.database_errors import passes
from taskq.store.endings import Ending
from taskq.store.refused_outcome import RowKept, plain_refusal
from taskq.store.releasing import Parts
from taskq.store.tasks import TaskStore


def end_for(db: TaskStore, lease: int, endings: Sequence[Ending]) -> set[int]:
    """Write how the runs of a lease ended, as far as the lease still holds their tasks.

    A task fails if the database refuses its ending or keeps its row. Its worker does the same.

    Returns the ids of the locked tasks. They are written later.
    """
    try:
        written, locked, kept = db.end_if_free(lease, endings)
    except Exception as error:
        if passes(error):
            raise
        if len(endings) > 1:  # refused together: try each alone
            return set().union(*(end_for(db, lease, [ending]) for ending in endings))
        _fail(db, lease, endings[0], error)
        return set()
    if written:
        events.finishes_written(len(written), lease)
        _release(db, [ending.id for ending in endings if ending.passes and ending.id in written])
    for ending in endings:
        if ending.id in kept:
            _fail(db, lease, ending, RowKept())
    return locked


def _release(db: TaskStore, parts: list[int]) -> None:
    """Release what waits for these. What the database refuses here, a keeper's look after workflows
    tries again, and says so."""
    try:
        db.workflows.release(Parts(parts))
    except Exception as error:
        if passes(error):
            raise


def _fail(db: TaskStore, lease: int, ending: Ending, error: Exception) -> None:
    text = plain_refusal(error)
    try:
        ours = db.fail_plainly(lease, ending.run, text)
    except Exception as again:
        if passes(again):
            raise
        # The task waits again, with the others that the lease held.
        events.outcome_refused(ending.id, "a finished task", text, again)
        return
    if ours:
        events.outcome_unwritten(ending.id, "a finished task", text)
