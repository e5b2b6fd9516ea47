"""What became of a victim and of its tasks, read from the tables alone.

A row that is still there shows how often it was claimed and lost. A missing row was
finished, has expired or was removed by a person, because nothing else deletes one. The
tables are read every few hundredths of a second. So a task that was claimed again and
finished between two looks is known only as gone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.db.models.functions import Now

from stress.monkey.faults import Blow
from taskq.models import State, Task, Worker


@dataclass
class Watched:
    """A task that a victim held, and what became of it.

    ``fate``: held, waiting (reclaimed), again (claimed again), failed, gone.
    ``recovery``: seconds from the fault to the next claim, by the database's clock.
    """

    id: int
    name: str
    attempt: int
    losses: int
    ran: bool  # by the title of its worker
    fate: str = "held"
    charged: bool = False
    recovery: float | None = None


@dataclass
class Case:
    """One fault: its victim, the tasks of the victim, and whether the pool recovered.

    ``began``: seconds of the database's clock (Unix time).
    ``mended``: seconds until the seat had a process with a valid lease again.
    ``lease_lost``: the same process lost its lease and got a new one.
    """

    blow: Blow
    began: float
    tasks: list[Watched]
    leases: set[int]
    mended: float | None = None
    thawed: bool = False
    lease_lost: bool = False

    @property
    def open_tasks(self) -> list[Watched]:
        """Tasks that may still be claimed again."""
        return [task for task in self.tasks if task.fate in ("held", "waiting")]

    @property
    def settled(self) -> bool:
        return self.mended is not None and not self.unaccounted

    @property
    def unaccounted(self) -> list[Watched]:
        """Tasks that a dead process still holds. A process that only slept may go on."""
        return [t for t in self.tasks if t.fate == "held" and self.mended != 0.0]


class Witness:
    """Reads the tables for the monkey.

    pool: its name in the rows of its workers.
    """

    def __init__(self, pool: str) -> None:
        self.pool = pool
        self.cases: list[Case] = []

    def open(self, blow: Blow) -> Case:
        """Note what a victim holds. It must be stopped, so that this cannot change meanwhile."""
        rows = list(Worker.objects.filter(pool=self.pool).annotate(now=Now()))
        leases = {row.pk for row in rows if row.pid == blow.victim.pid}
        held = Task.objects.filter(state=State.RUNNING, worker__in=leases)
        tasks = [
            Watched(row.pk, row.name, row.attempt, row.losses, row.pk == blow.victim.task_id)
            for row in held.only("pk", "name", "attempt", "losses")
        ]
        began = max((row.now.timestamp() for row in rows), default=time.time())
        case = Case(blow, began, tasks, leases)
        self.cases.append(case)
        return case

    def look(self) -> None:
        """Look at everything that is not settled yet."""
        self._follow_tasks()
        self._follow_seats()

    def stranded(self) -> int:
        """Tasks in the table whose lease ran out and that no pool took over."""
        return Task.objects.lost().count()

    def _follow_tasks(self) -> None:
        watched = [(case, task) for case in self.cases for task in case.open_tasks]
        rows = {row.pk: row for row in Task.objects.filter(pk__in={task.id for _, task in watched})}
        for case, task in watched:
            row = rows.get(task.id)
            if row is None:
                task.fate = "gone"
                continue
            task.charged |= row.losses > task.losses
            if row.attempt > task.attempt:
                task.fate = "again"
                if row.started_at is not None and row.attempt == task.attempt + 1:
                    task.recovery = row.started_at.timestamp() - case.began
            elif row.state == State.FAILED:
                task.fate = "failed"
            elif row.state == State.READY:
                task.fate = "waiting"

    def _follow_seats(self) -> None:
        open_cases = [case for case in self.cases if case.mended is None]
        if not open_cases:
            return
        rows = list(
            Worker.objects.filter(pool=self.pool, lease_expires_at__gt=Now()).order_by("started_at")
        )
        for case in open_cases:
            blow = case.blow
            for row in rows:
                after = row.started_at.timestamp() - case.began
                if row.name == blow.victim.name and row.pk not in case.leases and after > 0:
                    case.mended = after
                    case.lease_lost = row.pid == blow.victim.pid
                    break
            else:
                # It is awake again, under the same lease.
                if case.thawed and any(row.pk in case.leases for row in rows):
                    case.mended = 0.0
