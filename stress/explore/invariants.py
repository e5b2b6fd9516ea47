"""The invariants: what must hold after each step, in committed rows and for the actors."""

from __future__ import annotations

from typing import Any

import psycopg

from stress.explore.scene import Scene

# Committed rows, and whether the worker of each exists.
_ROWS = """
SELECT id, state, worker_id, cancelled_at IS NOT NULL,
       EXISTS (SELECT FROM taskq_worker AS worker WHERE worker.id = task.worker_id)
FROM taskq_task AS task
"""


def broken(session: psycopg.Connection[Any], scene: Scene, *, over: bool) -> list[str]:
    """The broken invariants, in words. over: whether all actors are done."""
    rows = session.execute(_ROWS).fetchall()
    found = list(scene.seen)
    state = {}
    for id, at, worker, cancelled, worker_there in rows:
        state[id] = at
        if at == 1 and not worker_there:
            found.append(f"{_who(scene, id)} is an orphan: it runs, but its worker is gone")
        if (at == 1) != (worker is not None):
            found.append(f"{_who(scene, id)} is in state {at} with worker {worker}")
        if at == 0 and cancelled:
            found.append(f"{_who(scene, id)} was cancelled, but waits to be run")
    for id, calls in scene.joined.items():
        if calls and state.get(id) != 0:
            found.append(
                f"{_who(scene, id)} has started, although a call that joined it is not committed"
            )
    if sum(state.get(id, 2) < 2 for id in scene.alone) > 1:
        found.append("two tasks with one key exist at once, although it is kept until the finish")
    if len(scene.once) > 1:
        found.append("two tasks were sent with one idempotency key")
    if scene.step in state:
        found += _of_the_step(scene, state[scene.step], over=over)
    return found + _holds(scene) + (_lost(scene, set(state)) if over else [])


def _of_the_step(scene: Scene, at: int, *, over: bool) -> list[str]:
    """It waits until both of its parts are done, and no longer than that."""
    done = scene.gone.issuperset(scene.parts)
    if at != 3 and not done:
        return ["the step was released before its parts were done"]
    return (
        ["the step still waits, although its parts are done"] if over and done and at == 3 else []
    )


def _holds(scene: Scene) -> list[str]:
    """Check the runs: each ends once, and a task has one at a time."""
    found, at_once = [], dict.fromkeys((task for _, task in scene.held), 0)
    for (worker, task), times in scene.held.items():
        ended = scene.ended[worker, task]
        at_once[task] += times - ended
        if ended > times:
            found.append(f"a run of {_who(scene, task)} has ended twice")
    return found + [
        f"{_who(scene, task)} is under two leases" for task, runs in at_once.items() if runs > 1
    ]


def _lost(scene: Scene, left: set[int]) -> list[str]:
    lost, ghosts = scene.there - scene.gone - left, left - scene.there | scene.gone & left
    return [f"{_who(scene, task)} is lost" for task in lost] + [
        f"{_who(scene, task)} exists, and should not" for task in ghosts
    ]


def _who(scene: Scene, task: int) -> str:
    known = {scene.running: "running", scene.waiting: "waiting", scene.failed: "failed"}
    if task == scene.step:
        return "the step"
    if task in scene.parts:
        return f"part {1 + scene.parts.index(task)}"
    return f"the {known[task]} task" if task in known else "a task that was sent"
