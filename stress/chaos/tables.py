"""The final state of the tables, in the form that the checker reads."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from stress.chaos.schedule import EVERY
from stress.checker.state import (
    FinalState,
    FinishedRow,
    Kind,
    LeftOver,
    ResultRow,
    TaskRow,
    Ticks,
)
from stress.project.lab.kinds import KINDS, End, kind_of, tick_key
from taskq.task import payload

if TYPE_CHECKING:
    from taskq.models import FinishedTask, Result

#: Characters at the start of a payload in which its key is searched.
_BEGINNING = 4000
_KEY = re.compile(rf"\b({'|'.join(map(re.escape, KINDS))})\.\d+\.\d+\b")


def read_final_state(left_over: Sequence[LeftOver], *, deadlocks: int, fenced: int) -> FinalState:
    """The state of the tables now, with what the harness found elsewhere.

    Raises ValueError for a task that chaos did not send.
    """
    from stress.project.lab.models import Effect, Entry
    from taskq.models import Schedule, State, Task

    waits = {step: _keys_of(parts) for step, parts in waiting_steps().items()}
    rows = Task.objects.values_list(
        *("pk", "payload", "state", "name", "losses", "max_losses", "error"),
        *("scheduled_at", "cancelled_at"),
    ).iterator()
    tasks = []
    for pk, arguments, state, name, losses, max_losses, error, scheduled_at, cancelled_at in rows:
        tick = _seconds(scheduled_at)
        key = _key_in(arguments) if tick is None else tick_key(tick, pk)
        tasks.append(
            TaskRow(
                key=key,
                state=State(state).name,
                name=name,
                kind=kind_of(key).name,
                losses=losses,
                max_losses=max_losses,
                error=error,
                scheduled_at=tick,
                cancelled=cancelled_at is not None,
                waits_for=waits.get(pk, ()),
            )
        )
    return FinalState(
        tasks=tuple(tasks),
        entries=frozenset(Entry.objects.values_list("key", flat=True)),
        effects=dict(Counter(Effect.objects.values_list("key", flat=True))),
        kinds=_kinds(),
        schedules={
            schedule.name: Ticks(EVERY, _seconds(schedule.last_at))
            for schedule in Schedule.objects.all()
        },
        results=tuple(
            ResultRow(_key_in(arguments), payload.decode_result(value))
            for arguments, value in results_of_the_load().values_list("payload", "value")
        ),
        finished=tuple(
            FinishedRow(
                _key_in(arguments), attempt, None if value is None else payload.decode_result(value)
            )
            for arguments, attempt, value in finished_of_the_load().values_list(
                "payload", "attempt", "value"
            )
        ),
        left_over=tuple(left_over),
        deadlocks=deadlocks,
        fenced=fenced,
    )


def waiting_steps() -> dict[int, list[int]]:
    """The blocked steps, and the parts whose end each does not know yet: as TaskRow has them."""
    from taskq.models import Edge, EdgeState, On, State, Task

    found: dict[int, list[int]] = {
        pk: [] for pk in Task.objects.filter(state=State.BLOCKED).values_list("pk", flat=True)
    }
    failed = set(Task.objects.filter(state=State.FAILED).values_list("pk", flat=True))
    edges = Edge.objects.filter(state=EdgeState.OPEN)
    for step, part, on in edges.values_list("step_id", "part_id", "waits_for"):
        if step in found and (on not in (On.FAILED, On.ENDED) or part not in failed):
            found[step].append(part)
    return found


def standing_still() -> int:
    """How many steps still wait, although nothing of what they wait for has failed."""
    from taskq.models import State, Task

    waits = waiting_steps()
    stopped = set(Task.objects.filter(state=State.FAILED).values_list("pk", flat=True))
    while more := {step for step in waits.keys() - stopped if stopped.intersection(waits[step])}:
        stopped |= more
    return len(waits.keys() - stopped)


def results_of_the_load() -> QuerySet[Result]:
    """The results of tasks that chaos sent. There may be other results in the table."""
    from taskq.models import Result

    return Result.objects.filter(name__in=_names())


def finished_of_the_load() -> QuerySet[FinishedTask]:
    """The same of the finished tasks that are kept."""
    from taskq.models import FinishedTask

    return FinishedTask.objects.filter(name__in=_names())


def _names() -> set[str]:
    return {kind.task_name for kind in KINDS.values()}


def _keys_of(ids: Sequence[int]) -> tuple[str, ...]:
    """The keys of tasks by their rows."""
    from taskq.models import Task

    rows = Task.objects.filter(pk__in=ids).values_list("payload", flat=True)
    return tuple(_key_in(arguments) for arguments in rows)


def _seconds(moment: datetime.datetime | None) -> int | None:
    """Whole seconds since 1970."""
    return None if moment is None else int(moment.timestamp())


def _key_in(arguments: str) -> str:
    # It stands at the beginning, or at the end after a forged pickle.
    found = _KEY.search(arguments[:_BEGINNING]) or _KEY.search(arguments[-200:])
    if found is None:
        raise ValueError(f"a task that chaos did not send: {arguments[:200]!r}")
    return found[0]


def _kinds() -> dict[str, Kind]:
    return {
        kind.name: Kind(
            kind.name,
            atomic=kind.atomic,
            poison=kind.cause if kind.end is End.DIES else "",
            fails=kind.cause if kind.end is End.FAILS else "",
            once=kind.once,
            unique=kind.unique,
            keeps=kind.keeps,
            keep_finished=kind.keep_finished,
            mended=kind.mended,
            replaced=kind.replaced,
            # Mostly these raise MemoryError, but Python may also die. A stubborn task that
            # is cancelled is killed.
            deadly=kind.name in ("starved", "leak", "cancelled-stubborn"),
        )
        for kind in KINDS.values()
    }
