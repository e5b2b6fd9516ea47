"""Losses: the keeper keeps the black box of each worker that died."""

from __future__ import annotations

import json
import platform
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import taskq
from pool import Slot, clock
from pool.black_box import Box
from pool.death import Death
from taskq import loss_text
from taskq.error_text import storable
from taskq.pool_context import PoolContext
from taskq.store.endings import Ending
from taskq.store.leases import Reclaimed
from taskq.store.losses import NewLoss
from taskq.store.refusals import NEVER
from taskq.store.session import StoreSession
from taskq.task.measures import End, name_and_queue

#: Losses that wait to be written. With more, the oldest are dropped.
ROOM = 64
#: Runs of a worker that are kept with its loss.
RUNS = 16
#: Which code the worker ran.
VERSION = f"taskq {taskq.__version__}, Python {platform.python_version()}"


#: A run that is over: task, attempt, name, how it ended, seconds. Of some only the ends are known.
_Run = tuple[int, int, str, str, float | None]


class Left(NamedTuple):
    """What a dead worker left on the scoreboard, where its slot is another's soon.

    done: how runs ended that are perhaps not written. runs: its last runs.
    """

    done: list[Ending]
    box: Box
    runs: list[_Run]

    def details(self, death: Death) -> str:
        """What follows the cause in a sentence."""
        return loss_text.details(str(death), loss_text.place(self.box.stack), self.box.memory)


class Losses:
    """Notes losses while tasks are reclaimed, and writes them afterwards.

    So a loss that cannot be written keeps no task from being reclaimed. It is tried again while
    this keeper lives.
    """

    def __init__(self, context: PoolContext, session: StoreSession) -> None:
        self._context = context
        self._session = session
        self._noted: deque[NewLoss] = deque(maxlen=ROOM)

    @property
    def due(self) -> int:
        """When to write: at once, if there is something to write."""
        return 0 if self._noted else NEVER

    def note_death(self, death: Death, left: Left, worker: str, task: Reclaimed | None) -> None:
        """Note the loss of a worker of this pool, unless it left in peace.

        left: what it left. worker: its name. task: what it ran, where that was reclaimed.
        """
        if death.clean or not death.lease:
            return
        box = left.box
        self._noted.append(
            NewLoss(
                pool=self._context.pool,
                host=self._context.host,
                worker=worker,
                pid=death.pid,
                task_id=death.task_id,
                attempt=death.attempt if death.task_id else 0,
                name=task.name if task else storable(box.label, 255),
                queue=task.queue if task else "",
                cause=str(death),
                place=loss_text.place(box.stack),
                stack=storable(box.stack, len(box.stack) * 4),
                memory=_compact([list(sample) for sample in box.memory]),
                runs=_compact(left.runs),
                version=VERSION,
            )
        )

    def note_expired(self, pool: str, worker: str, task: Reclaimed, cause: str) -> None:
        """Note that a task was lost with a worker of any pool. Nobody saw how that ended."""
        self._noted.append(
            NewLoss(
                pool=pool,
                host=pool.rpartition(":")[0],
                worker=worker,
                pid=0,
                task_id=task.id,
                attempt=0,
                name=task.name,
                queue=task.queue,
                cause=cause,
                place="",
                stack="",
                memory="[]",
                runs="[]",
                version="",
            )
        )

    def write(self) -> None:
        """Write what was noted."""
        if self._noted:
            self._session.store().losses.add(self._noted)
            self._noted.clear()


def last_runs(slot: Slot, done: Sequence[Ending]) -> list[_Run]:
    """The last runs of the worker in a slot, oldest first.

    done: what is in its finish log. Some of these runs may not have been measured yet.
    """
    ring = slot.last_runs
    measured = ring.since(max(0, ring.written - RUNS))
    known = {(run.task, run.attempt) for run in measured}
    found: list[_Run] = [
        (
            run.task,
            run.attempt,
            name_and_queue(slot.counters.key(run.row))[0],
            End(run.end).name.lower(),
            round(run.ran / clock.SECOND, 3),
        )
        for run in measured
    ]
    found += [
        (ending.id, ending.attempt, "", ending.end.name.lower(), None)
        for ending in done
        if ending.run not in known
    ]
    return found[-RUNS:]


def _compact(value: Sequence[object]) -> str:
    return json.dumps(value, separators=(",", ":"))
