"""``app.control``: Celery's remote control, as far as the tables can do it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from django.db import router
from django.utils import timezone

from taskq import pausing
from taskq.celery.result import AsyncResult
from taskq.models import State, Task, Worker
from taskq.task import payload, registry
from taskq.task.payload import PayloadError

_INSTEAD = {
    "rate_limit": "give the task a queue that only one pool of few workers serves",
    "time_limit": "set time_limit on the task, or on a call",
    "autoscale": "send TTIN or TTOU to the pool",
    "pool_grow": "send TTIN to the pool",
    "pool_shrink": "send TTOU to the pool",
    "pool_restart": "send HUP to the pool",
    "shutdown": "send TERM to the pool",
    "broadcast": "pools do not talk to each other",
    "election": "pools do not talk to each other",
    "revoke_by_stamped_headers": "find the tasks by their headers, and cancel() each",
}


class Control:
    """Commands to the tasks and queues of all pools. They work on the database, so no pool need
    answer. ``destination``, ``timeout``, ``reply`` and such are ignored."""

    def __init__(self, app: Any) -> None:
        self.app = app

    @property
    def inspect(self) -> type[Inspect]:
        """What there is: ``app.control.inspect().active()``."""
        return Inspect

    def revoke(
        self, task_id: Any, destination: Any = None, terminate: bool = False, **ignored: Any
    ) -> None:
        """Remove a task that has not started, or several. With ``terminate`` a run is ended too.
        None is the id of no task: code may revoke what it has never sent."""
        several = isinstance(task_id, (list, tuple, set, frozenset))
        for each in task_id if several else [task_id]:
            if each is not None:
                AsyncResult(each).revoke(terminate=terminate)

    def terminate(self, task_id: Any, **ignored: Any) -> None:
        """End the run of a task, or remove it if it has not started."""
        self.revoke(task_id, terminate=True)

    def purge(self, **ignored: Any) -> int:
        """Remove all tasks that wait. Returns how many there were."""
        tasks = Task.objects.using(_alias())
        return int(tasks.pending().discard()) + int(tasks.future().discard())

    discard_all = purge

    def ping(self, destination: Any = None, **ignored: Any) -> list[dict[str, dict[str, str]]]:
        """The workers whose leases are good."""
        return [{name: {"ok": "pong"}} for name in _workers()]

    def cancel_consumer(self, queue: str, **ignored: Any) -> None:
        """Pause a queue, for all pools: see :func:`taskq.pausing.pause`."""
        pausing.pause(queue)

    def add_consumer(self, queue: str, **ignored: Any) -> None:
        """Resume a queue, for all pools: see :func:`taskq.pausing.resume`."""
        pausing.resume(queue)

    def enable_events(self, **ignored: Any) -> None:
        """Nothing to do: there are the signals, the log and the dashboard."""

    disable_events = heartbeat = enable_events

    def __getattr__(self, name: str) -> NoReturn:
        if name in _INSTEAD:
            raise AttributeError(f"app.control has no {name!r} here: {_INSTEAD[name]}")
        raise AttributeError(f"app.control has no attribute {name!r}")


class Inspect:
    """What the tables know of tasks and workers, in the form of Celery's answers: a dict by worker.
    What belongs to no worker is listed under ``all``. Without workers the answer is None."""

    def __init__(self, destination: Iterable[str] | str | None = None, **ignored: Any) -> None:
        self._destination = [destination] if isinstance(destination, str) else destination

    def ping(self, destination: Any = None) -> dict[str, dict[str, str]] | None:
        return self._of_each(lambda name: {"ok": "pong"})

    def active(self, safe: Any = None) -> dict[str, list[dict[str, Any]]] | None:
        """The tasks that run, by worker."""
        running = Task.objects.using(_alias()).filter(state=State.RUNNING).select_related("worker")
        tasks: dict[str, list[dict[str, Any]]] = {}
        for task in running:
            if task.worker is not None:
                tasks.setdefault(_name(task.worker), []).append(_shown(task))
        return self._of_each(lambda name: tasks.get(name, []))

    def scheduled(self, safe: Any = None) -> dict[str, list[dict[str, Any]]] | None:
        """The tasks that wait for their time."""
        future = Task.objects.using(_alias()).future()
        shown = [
            {"eta": task.execute_at.isoformat(), "priority": task.priority, "request": _shown(task)}
            for task in future
        ]
        return {"all": shown} if self._names() else None

    def reserved(self, safe: Any = None) -> dict[str, list[dict[str, Any]]] | None:
        """Nothing: a worker reserves tasks for milliseconds only."""
        return self._of_each(lambda name: [])

    def revoked(self) -> dict[str, list[str]] | None:
        """Nothing: what is revoked is gone from the table."""
        return self._of_each(lambda name: [])

    def registered(self, *ignored: str) -> dict[str, list[str]] | None:
        """The names of the tasks that this process knows."""
        return self._of_each(lambda name: registry.names())

    registered_tasks = registered

    def active_queues(self) -> dict[str, list[dict[str, str]]] | None:
        """The queues that the pool of each worker serves, as ``-Q`` takes them."""
        found = _workers()
        return self._of_each(
            lambda name: [{"name": each} for each in (found[name].serves or "*").split(",")]
        )

    def stats(self) -> dict[str, dict[str, Any]] | None:
        """The process of each worker."""
        found = _workers()
        return self._of_each(
            lambda name: {"pid": found[name].pid, "hostname": found[name].host, "pool": {}}
        )

    def conf(self, with_defaults: bool = False) -> dict[str, dict[str, Any]] | None:
        """The settings of the current app."""
        from taskq.celery import apps

        return self._of_each(lambda name: apps.current().conf.given())

    def query_task(self, *ids: Any) -> dict[str, dict[str, Any]] | None:
        """The state of these tasks, by id."""
        flat = [each for id in ids for each in (id if isinstance(id, (list, tuple)) else [id])]
        found = {}
        for id in flat:
            result = AsyncResult(id)
            if result.name is not None:
                found[str(id)] = [result.status, {"id": str(id), "name": result.name}]
        return {"all": found} if self._names() else None

    def _names(self) -> list[str]:
        names = list(_workers())
        if self._destination is None:
            return names
        wanted = set(self._destination)
        return [name for name in names if name in wanted]

    def _of_each(self, ask: Any) -> dict[str, Any] | None:
        return {name: ask(name) for name in self._names()} or None


def _alias() -> str:
    return router.db_for_write(Task)


def _workers() -> Mapping[str, Worker]:
    """The workers whose leases are good, by name. A keeper of a pool is none."""
    alive = Worker.objects.using(_alias()).filter(lease_expires_at__gt=timezone.now())
    return {_name(each): each for each in alive.order_by("pk") if each.name != "keeper"}


def _name(worker: Worker) -> str:
    return f"{worker.name}@{worker.pool}"


def _shown(task: Task) -> dict[str, Any]:
    try:
        args, kwargs = payload.decode(task.payload, task.name)
    except PayloadError as error:
        args, kwargs = [str(error)], {}
    return {
        "id": str(task.uuid),
        "name": task.name,
        "args": args,
        "kwargs": kwargs,
        "hostname": _name(task.worker) if task.worker is not None else None,
        "time_start": task.started_at.timestamp() if task.started_at is not None else None,
        "delivery_info": {"routing_key": task.queue, "priority": task.priority},
    }
