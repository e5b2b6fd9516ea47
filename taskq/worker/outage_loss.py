"""A run that an outage of the database has ended: charged to its task, which runs again later."""

from __future__ import annotations

from pool import Slot
from taskq import events
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Claimed
from taskq.task.outcomes import Interrupted
from taskq.worker.batch import Batch
from taskq.worker.outcome_writer import OutcomeWriter

#: After an outage has ended a run, the task waits a second. The wait grows by this factor each
#: time, to AGAIN_MOST seconds: the database that is away may be another one than the queue's.
AGAIN = 5.0
AGAIN_MOST = 60.0


def lose(
    slot: Slot,
    batch: Batch,
    writer: OutcomeWriter,
    task: Claimed,
    outcome: Interrupted,
    kind: str | None,
) -> bool:
    """Write it once the outage is over. False if the task was no longer the worker's.

    kind: the class of the error, see :func:`taskq.store.endings.fail`.
    """
    if outcome.read_only:
        # The worker's own session may be older, and still write. It would claim task after task,
        # each of which is lost like this one. A new session waits until the database writes.
        writer.begin_anew()
    wait = 0.0 if task.losses < 0 else min(AGAIN_MOST, AGAIN ** min(task.losses, 9))
    came: list[tuple[int, bool]] = []

    def write(db: TaskStore) -> bool:
        lost = db.lose(
            batch.lease,
            task.run,
            delay=wait,
            error=outcome.error,
            traceback=outcome.traceback,
            kind=kind,
        )
        came.extend([lost] if lost is not None else [])
        return lost is not None

    ours = writer.write(task.run, task.name, write)
    if ours:
        ((losses, failed),) = came
        slot.failed += failed
        events.task_interrupted(task.id, task.name, outcome.error, losses, None if failed else wait)
    return ours
