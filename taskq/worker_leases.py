"""The leases of workers: given, renewed, retired. What a worker holds, it holds under its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskq import sql


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A task whose worker is gone, and what became of it."""

    id: int
    name: str
    losses: int
    blamed: bool  # it was what the worker ran
    failed: bool  # it is not to be run again
    cancelled: bool = False  # that is why


@dataclass(frozen=True)
class Retired:
    """The end of a worker's lease. ``complete`` is False while one of its tasks is
    locked by a transaction that has yet to end: retire it again later."""

    worker: str
    tasks: list[TakenBack]
    complete: bool


class WorkerLeases:
    """The part of :class:`taskq.leases.Leases` that is about workers: ``leases.workers``.

    Each method is one transaction, and raises what those of ``Leases`` do.
    """

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.workers_of(vendor)

    def register(
        self, pool: str, host: str, processes: Sequence[tuple[str, int]], lease: float
    ) -> dict[int, int]:
        """Give leases of so many seconds to processes (name, pid): pid -> worker id."""
        values = {
            "pool": pool,
            "host": host,
            "names": [name for name, _ in processes],
            "pids": [pid for _, pid in processes],
            "lease": lease,
        }
        rows = self._connection.rows(self._sql.REGISTER, values)
        return {pid: worker for pid, worker in rows}

    def renew(self, workers: Sequence[int], lease: float) -> set[int]:
        """Extend leases that have not run out; the ids of those that were."""
        values = {"workers": list(workers), "lease": lease}
        return {worker for (worker,) in self._connection.rows(self._sql.RENEW, values)}

    def set_listens(self, worker: int, listens: bool) -> None:
        """Say whether enqueuers should send wake-ups, for this process to hear."""
        self._connection.count(self._sql.LISTENS, {"worker": worker, "listens": listens})

    def expired(self) -> list[int]:
        """Workers whose lease has run out."""
        return [worker for (worker,) in self._connection.rows(self._sql.EXPIRED, {})]

    def retire(
        self,
        worker: int,
        *,
        ran: int | None,
        charge: bool,
        cause: str,
        expired_only: bool = False,
        leave: Sequence[int] = (),
    ) -> Retired | None:
        """End a worker's lease and take back all that it holds.

        ran: the task that it ran, 0 for none, None when nobody knows.
        charge: count a loss against that task.
        cause: what happened to the worker, kept with that task.
        expired_only: leave a worker alone that was renewed meanwhile, or that another
            reclaimer is at.
        leave: tasks that are not to be taken back, as they are done and cannot be written yet.

        Returns None when there is no such worker (any more).
        """
        one = {"worker": worker}
        with self._connection.transaction():
            lock = self._sql.LOCK_EXPIRED_WORKER if expired_only else self._sql.LOCK_WORKER
            found = self._connection.rows(lock, one)
            if not found:
                return None
            ((held, last),) = self._connection.rows(self._sql.HELD, one)
            # Where nobody saw what it ran: a task held alone was at work. Of several
            # any may have been: none is charged, each is claimed alone from now on.
            blamed = ran if ran is not None else last if held == 1 else 0
            values = {
                **one,
                "blamed": blamed or 0,
                "suspect": ran is None and held > 1,
                "charge": int(charge),
                "cause": cause,
                "leave": list(leave),
            }
            rows = self._connection.rows(self._sql.TAKE_BACK, values) if held else []
            complete = self._connection.count(self._sql.REMOVE_WORKER, one) == 1
        ((pool, name),) = found
        tasks = [
            TakenBack(id, name, losses, bool(blamed), bool(failed), cancelled_at is not None)
            for id, name, losses, blamed, failed, cancelled_at in rows
        ]
        return Retired(f"{name} of {pool}", tasks, complete)
