"""Answers to those who ask where a run is: the keeper asks the worker for its stack.

The worker writes it into the memory that all processes of the pool share (:mod:`pool.stack_file`).
The keeper does not wait for it: it does its duties, and looks again some milliseconds later.
"""

from __future__ import annotations

from typing import NamedTuple

from pool import Scoreboard, Slot, State, clock, kernel
from pool.black_box import shortened
from pool.stack_file import Ask
from pool.supervisor import TICK
from taskq import loss_text
from taskq.pool_context import process_name
from taskq.store.stacks import Answer, Asked
from taskq.store.tasks import TaskStore

#: Seconds between two looks at whether a stack is there, and seconds until it must be.
LOOK, PATIENCE = 0.002, 1.0
#: Requests that their callers have left, and that one answer removes.
PRUNE_BATCH = 100


class _Waiting(NamedTuple):
    """A worker that was asked. until: when it must have answered."""

    slot: Slot
    pid: int
    requests: list[Asked]
    until: int


class StackAnswers:
    """The keeper's part.

    every: seconds between looks without a wake-up. due: when to look next, by ``pool.clock``.
    """

    def __init__(self, scoreboard: Scoreboard, *, every: float) -> None:
        self._scoreboard = scoreboard
        self._every = clock.nanoseconds(every)
        self._waiting: dict[int, _Waiting] = {}
        self._looked = 0
        self._look_due = 0
        self._told = False

    @property
    def due(self) -> int:
        return clock.now() + clock.nanoseconds(LOOK) if self._waiting else self._look_due

    def told(self) -> None:
        """Somebody may have asked: look soon. On SQLite every commit may call this, so there is
        a pause between two looks."""
        self._told = True
        self._look_due = min(self._look_due, self._looked + clock.nanoseconds(TICK))

    def look(self, store: TaskStore) -> None:
        """Find requests, and answer those whose stacks are there."""
        now = clock.now()
        answers: list[Answer] = []
        if now >= self._look_due:
            answers += self._find(store, now)
        answers += self._read(now)
        if answers:
            store.stacks.answer(answers)
            # Not again and again as for other tables: nearly always there is nothing to remove.
            store.stacks.prune(PRUNE_BATCH)

    def _find(self, store: TaskStore, now: int) -> list[Answer]:
        """Ask the workers that somebody asks for. Returns what can be answered at once."""
        slots = {lease: slot for slot in self._scoreboard.living() if (lease := slot.held_lease())}
        # An idle pool that nobody has told sends no query.
        if not self._told and all(slot.state != State.BUSY for slot in slots.values()):
            slots = {}
        self._told = False
        found: dict[int, list[Asked]] = {}
        refused = []
        for request in store.stacks.asked(list(slots)) if slots else []:
            if request.worker in self._waiting:
                continue  # the next look finds it
            if refusal := _not_running(slots[request.worker], request.task):
                refused.append(Answer(request.id, refusal))
            else:
                found.setdefault(request.worker, []).append(request)
        for worker, requests in found.items():
            slot, pid = slots[worker], slots[worker].pid
            if slot.stack_file.ask(pid, Ask.OWN):
                until = now + clock.nanoseconds(PATIENCE)
                self._waiting[worker] = _Waiting(slot, pid, requests, until)
            else:
                refused += [Answer(request.id, _DEAF) for request in requests]
        self._looked, self._look_due = now, now + self._every
        return refused

    def _read(self, now: int) -> list[Answer]:
        """The answers of the workers that have written their stacks, or will not."""
        answers = []
        for worker, (slot, pid, requests, until) in list(self._waiting.items()):
            written = slot.stack_file.is_written(pid, Ask.OWN)
            if not written and now < until:
                continue
            del self._waiting[worker]
            # Others may have asked meanwhile.
            self._told, self._look_due = True, min(self._look_due, now)
            stack = f"{_doing(slot)}\n\n{shortened(slot.stack_file.read())}"
            for request in requests:
                # Looked at again afterwards: else the stack may be of the next run.
                refusal = _not_running(slot, request.task) if written else _SILENT
                answers.append(Answer(request.id, refusal, "" if refusal else stack))
        return answers


_DEAF = (
    "its process is stopped, has just begun or ended, or has taken the signal SIGWINCH for itself"
)
_SILENT = (
    f"it did not write its stack within {PATIENCE:g} s: it hangs in the kernel, or gets no CPU"
)


def _not_running(slot: Slot, task: int) -> str:
    """Why there is no stack of this task. Empty if the worker runs it, or may run any."""
    now_runs = slot.task_id
    if task in (0, now_runs):
        return ""
    if now_runs:
        return (
            f"its worker runs {slot.label} #{now_runs} now: it waits behind that, or has just ended"
        )
    return "it has just ended, or is about to start"


def _doing(slot: Slot) -> str:
    """What the process does, in a line above its stack."""
    memory = loss_text.size(kernel.resident_kib(slot.pid))
    text = f"{process_name(slot)}, pid {slot.pid}, {memory}"
    if slot.task_id:
        seconds = (clock.now() - slot.since) / clock.SECOND
        return f"{text}, runs {slot.label} #{slot.task_id} for {seconds:.1f} s"
    return f"{text}, runs no task"
