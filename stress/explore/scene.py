"""The scene of an order: two workers, and a task in each state that matters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg

from taskq.task.options import TaskOptions

NAME = "explored"
#: Unique keys that are kept until the start of their task, and until its finish.
UNTIL_START, UNTIL_FINISH = "start", "finish"
OPTIONS = {
    UNTIL_START: TaskOptions(unique="args"),
    UNTIL_FINISH: TaskOptions(unique="args", unique_until="finish"),
}


@dataclass
class Scene:
    """The tasks and workers of one order, and what became of them.

    running: held by ``worker`` from the beginning. waiting: not started yet. failed: failed.
    alive: whether the lease of ``worker`` is valid. parts: held by ``worker`` and by ``other`` from
    the beginning. step: it waits for both. These are there if an actor has to do with them.
    """

    worker: int
    other: int
    alive: bool
    running: int
    waiting: int
    failed: int
    parts: tuple[int, ...] = ()
    step: int = 0
    #: How often a worker got a task, and how often such a run ended.
    held: Counter[tuple[int, int]] = field(default_factory=Counter)
    ended: Counter[tuple[int, int]] = field(default_factory=Counter)
    #: The committed tasks, and those of them that are done or cancelled.
    there: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    #: How many open transactions have joined each task.
    joined: Counter[int] = field(default_factory=Counter)
    #: The tasks with the key of the running one, and those with an idempotency key.
    alone: set[int] = field(default_factory=set)
    once: set[int] = field(default_factory=set)
    #: Wrong things that an actor saw.
    seen: list[str] = field(default_factory=list)

    def holds(self, worker: int, task: int) -> None:
        self.held[worker, task] += 1

    def ends(self, worker: int, task: int, *, gone: bool = False) -> None:
        self.ended[worker, task] += 1
        if gone:
            self.gone.add(task)


#: The workers of an order.
WORKER, OTHER = 1, 2

_TABLES = (
    *("taskq_task", "taskq_worker", "taskq_result", "taskq_idempotencykey"),
    *("taskq_workflow", "taskq_edge"),
)
_CLEAR = "; ".join(f"DELETE FROM {table}" for table in _TABLES)
_CLEAR_THOROUGHLY = f"TRUNCATE {', '.join(_TABLES)}"

_WORKERS = """
INSERT INTO taskq_worker (id, pool, host, name, pid, lease_expires_at)
SELECT id, 'p', 'h', 'worker', id, now() + CASE WHEN good THEN 1 ELSE -1 END * interval '1 hour'
FROM (VALUES (%s, %s), (%s, true)) AS lease (id, good)
"""
_TASKS = """
INSERT INTO taskq_task (name, state, worker_id, attempt, execute_at, started_at, failed_at,
                        unique_key, unique_until, unique_place)
VALUES (%(name)s, 1, %(worker)s, 1, now() - interval '1 hour', now(), NULL, 'finish', 'finish', 0),
       (%(name)s, 0, NULL, 0, now(), NULL, NULL, 'start', 'start', 0),
       (%(name)s, 2, NULL, 1, now() - interval '1 hour', NULL, now(), 'start', 'start', 0)
RETURNING id
"""
_STEPS = """
WITH flow AS (
    INSERT INTO taskq_workflow (steps, edges, tasks) VALUES ('[]', '[]', '[]') RETURNING id
)
INSERT INTO taskq_task (name, state, worker_id, attempt, workflow_id, passes, started_at)
SELECT %(name)s, 1, worker, 1, flow.id, true, now()
FROM flow CROSS JOIN unnest(%(workers)s::bigint[]) AS worker
UNION ALL SELECT %(name)s, 3, NULL, 0, flow.id, NULL, NULL FROM flow
RETURNING id
"""
_EDGES = """
INSERT INTO taskq_edge (step_id, place, part_id)
SELECT %(step)s, place, part FROM unnest(%(parts)s::bigint[]) WITH ORDINALITY AS part (part, place)
"""


def clear(session: psycopg.Connection[Any], *, thoroughly: bool) -> None:
    """Remove the rows of the last order. thoroughly: with the dead rows of many orders."""
    session.execute(_CLEAR_THOROUGHLY if thoroughly else _CLEAR)


def make(session: psycopg.Connection[Any], *, alive: bool, flow: bool) -> Scene:
    """Make a scene. alive: whether the lease of the busy worker is valid. flow: with the parts and
    the step that waits for them."""
    session.execute(_WORKERS, [WORKER, alive, OTHER])
    rows = session.execute(_TASKS, {"name": NAME, "worker": WORKER}).fetchall()
    running, waiting, failed = (id for (id,) in rows)
    made = Scene(WORKER, OTHER, alive, running, waiting, failed)
    made.there |= {running, waiting, failed}
    made.alone.add(running)
    made.holds(WORKER, running)
    if flow:
        workers = [WORKER, OTHER]
        rows = session.execute(_STEPS, {"name": NAME, "workers": workers}).fetchall()
        *parts, made.step = sorted(id for (id,) in rows)
        made.parts = tuple(parts)
        session.execute(_EDGES, {"step": made.step, "parts": parts})
        made.there |= {made.step, *parts}
        for worker, part in zip(workers, parts, strict=True):
            made.holds(worker, part)
    return made
