"""The life of a lease: it is given, renewed, and at its end it is retired.

A worker holds tasks only under its own lease, which is its row in ``taskq_worker``::

    give ---> renew ---> renew ---> ... ---> retire    (the worker left, or its death was seen)
                           |
                           +------> expired -> retire  (no keeper could renew the lease)

========  ============================  =================================  ======================
name      what decides                  what is written                    log event
========  ============================  =================================  ======================
give      the keeper: a process is up,  a row with a new random id, and    none
          and has no lease              the end of the lease
renew     the keeper, each HEARTBEAT:   a later end, in one statement for  ``lease.late``, where
          the process is running        all processes of the pool          it came late
expired   the database's clock: the     nothing; an expired lease is       ``lease.reclaimed``,
          end has passed                never renewed                      from its keeper
retire    a keeper: of the same pool    its tasks are reclaimed: they      ``task.lost``,
          when the worker has died, of  wait again, or have failed; then   ``task.cancelled``,
          any pool when it has expired  the row is removed                 ``tasks.returned``
========  ============================  =================================  ======================

The same names stand in ``taskq/keeper`` (what decides) and in ``taskq/sql/*/leases.py`` (the
statements). Three verbs are kept apart: a worker *gives back* what it has not started, a keeper
*reclaims* the tasks of a worker that is dead or has expired, and a lease is *retired*.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from taskq import sql
from taskq.models.worker_ids import new_id
from taskq.store.endings import Ending, checked
from taskq.task.queues import EVERY_QUEUE


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """A task whose worker is gone, and what became of it."""

    id: int
    name: str
    queue: str
    losses: int
    blamed: bool  # it was what the worker ran
    failed: bool  # it is not to be run again
    cancelled: bool = False  # that is why


class Renewed(NamedTuple):
    """kept: the leases that were extended, each with the pid in its row, 0 where that was put back.
    server: what tells this run of the server from others; empty where nothing was extended.
    expired: whether a lease of any pool may have run out."""

    kept: dict[int, int]
    server: str
    expired: bool


@dataclass(frozen=True)
class Retired:
    """The end of a worker's lease. ``complete`` is False while one of its tasks is
    locked by a transaction that has yet to end: retire it again later."""

    pool: str
    name: str
    tasks: list[Reclaimed]
    complete: bool

    @property
    def worker(self) -> str:
        """As log lines name it."""
        return f"{self.name} of {self.pool}"

    @property
    def ran(self) -> Reclaimed | None:
        """The task that the worker ran, if it was reclaimed."""
        return next((task for task in self.tasks if task.blamed), None)


class LeaseStore:
    """The part of :class:`taskq.store.tasks.TaskStore` that is about leases: ``store.leases``.

    Each method is one transaction, and raises what those of ``TaskStore`` do.
    """

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.leases_of(vendor)

    def give(
        self,
        pool: str,
        host: str,
        processes: Sequence[tuple[str, int]],
        lease: float,
        serves: str = EVERY_QUEUE,
    ) -> dict[int, int]:
        """Give leases of so many seconds to processes (name, pid): pid -> worker id.

        serves: the queues of the pool, for people who look at it: ``Queues.written``.
        """
        values = {
            "pool": pool,
            "host": host,
            "serves": serves,
            "ids": [new_id() for _ in processes],
            "names": [name for name, _ in processes],
            "pids": [pid for _, pid in processes],
            "lease": lease,
        }
        rows = self._connection.rows(self._sql.GIVE, values)
        return {pid: worker for pid, worker in rows}

    def renew(self, workers: Sequence[int], lease: float) -> Renewed:
        """Extend leases that have not expired."""
        values = {"workers": list(workers), "lease": lease}
        rows = self._connection.rows(self._sql.RENEW, values)
        _, _, server, expired = rows[0] if rows else (0, 0, "", True)
        return Renewed({worker: pid for worker, pid, _, _ in rows}, server, bool(expired))

    def set_listens(self, worker: int, listens: bool) -> None:
        """Say whether enqueuers should send wake-ups, for this process to hear."""
        self._connection.count(self._sql.LISTENS, {"worker": worker, "listens": listens})

    def notifiers_waiting(self) -> int:
        """How many commits of the server wait for another one, because both notify."""
        if self._sql.NOTIFIERS_WAITING is None:
            return 0
        return int(self._connection.rows(self._sql.NOTIFIERS_WAITING, {})[0][0])

    def another_listens(self, pool: str) -> bool:
        """Whether a pool other than this one sleeps, in part at least."""
        return bool(self._connection.rows(self._sql.ANOTHER_LISTENS, {"pool": pool}))

    def expired(self) -> dict[int, list[Ending]]:
        """Workers whose lease has run out, each with what it has done and is still to be
        written."""
        rows = self._connection.rows(self._sql.EXPIRED, {})
        return {worker: _read(done) for worker, done in rows}

    def retire(
        self,
        worker: int,
        *,
        ran: int | None,
        charge: bool,
        cause: str,
        expired_only: bool = False,
        done: Collection[Ending] = (),
        locked: Collection[int] = (),
    ) -> Retired | None:
        """Retire the lease of a worker, and reclaim all that it holds.

        ran: the task that it ran, 0 for none, None when nobody knows.
        charge: count a loss against that task.
        cause: what happened to the worker, kept with that task.
        expired_only: do nothing if the lease was renewed meanwhile, or if another keeper is
            retiring it.
        done: how the runs ended that it had finished. They are written by now, except those of
            ``locked``.
        locked: ids of tasks that another transaction has locked. They are not reclaimed, but
            noted in the row for the next call.

        The first call decides what ran, and what the cause is. If a locked task has to be left
        for another call, that call keeps these decisions.

        Returns None when there is no such worker (any more), and nothing that it holds.
        """
        one = {"worker": worker}
        with self._connection.transaction():
            lock = self._sql.LOCK_EXPIRED_WORKER if expired_only else self._sql.LOCK_WORKER
            found = self._connection.rows(lock, one)
            if not found and not expired_only:
                found = self._connection.rows(self._sql.RESTORE_WORKER, {**one, "lease": 0.0})
            if not found:
                return None
            ((pool, name, decided, blamed, charged, noted),) = found
            ((held, last),) = self._connection.rows(self._sql.HELD, one)
            if decided is not None:
                cause, charge = decided, bool(charged)
            elif ran is not None or held < 2:
                # Where nobody saw what it ran: a task held alone was at work.
                blamed = ran if ran is not None else last or 0
            # Else any of them may have been: none is charged, each is claimed alone from now on.
            earlier = _read(noted)  # some of it by another, since ``done`` was read
            unwritten = {ending for ending in done if ending.id in locked} | ({*earlier} - {*done})
            end = {**one, "blamed": blamed, "charge": charge, "cause": cause}
            values = {
                **end,
                "blamed": blamed or 0,
                "suspect": blamed is None,
                "charge": int(charge),
                "leave": [ending.id for ending in unwritten],
            }
            rows = self._connection.rows(self._sql.RECLAIM, values) if held else []
            complete = self._connection.count(self._sql.RETIRE, one) == 1
            if not complete and (decided is None or unwritten - {*earlier}):
                self._connection.count(self._sql.DECIDE, {**end, "done": _noted(unwritten)})
        tasks = [
            Reclaimed(id, name, queue, losses, bool(blamed), bool(failed), bool(cancelled))
            for id, name, queue, losses, blamed, failed, cancelled in rows
        ]
        return Retired(pool, name, tasks, complete)

    def restore_missing(self, lease: float) -> list[int]:
        """Insert the missing rows of workers that hold tasks, with a lease of so many seconds.

        A row is missing where somebody removed it, or restored the tasks without it. Once the new
        lease has expired, it is retired like any other. Returns the ids of these workers.
        """
        _, rows = self._connection.batch(
            (self._sql.NAME_HOLDER, {"worker": new_id()}),
            (self._sql.RESTORE_WORKERS, {"lease": lease}),
        )
        return [worker for (worker,) in rows]


def _noted(endings: Collection[Ending]) -> str | None:
    """Endings as the row of a worker has them."""
    return json.dumps(sorted(endings, key=lambda ending: ending.id)) if endings else None


def _read(noted: str | None) -> list[Ending]:
    """The endings that the row of a worker has noted."""
    try:
        return [checked(*each) for each in json.loads(noted or "[]")]
    except (ValueError, TypeError, OverflowError, RecursionError):
        return []  # somebody wrote the column by hand
