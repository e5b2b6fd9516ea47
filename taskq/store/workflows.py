"""What a worker and a keeper do for workflows, beside the ends of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from taskq import sql
from taskq.store import releasing
from taskq.store.releasing import Parts
from taskq.task.claimed import Run
from taskq.task.states import State

#: Where a walk over all edges begins: a step, a place, a part.
Place = tuple[int, int, int]
#: Before all ids: people write rows by hand, and some of them below 0.
FIRST = -(2**63)
BEGIN: Place = (FIRST, FIRST, FIRST)


class Opened(NamedTuple):
    """A workflow that has not ended. left: a step of it is there. overdue: so is its deadline."""

    id: int
    left: bool
    overdue: bool


class Walked(NamedTuple):
    """What a walk over some edges has found.

    orphans: parts that are gone, and others wait for them. failed: parts that have failed, however
    long ago. gone: steps that are gone, with edges that are left. next: where to look on; BEGIN
    after the last of all.
    """

    orphans: list[int]
    failed: list[int]
    gone: list[int]
    next: Place


class WorkflowStore:
    """The tables of workflows, over one connection. Each method is one transaction."""

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.workflows_of(vendor)
        self._replacing = sql.replacing_of(vendor)
        self._tell_cancelled = sql.enqueue_of(vendor).TELL_CANCELLED

    def release(self, parts: Parts) -> int:
        """Release the steps that wait for the ends of these parts. How many were released."""
        calls = releasing.calls(self._sql, (), parts)
        if not calls:
            return 0
        return sum(map(len, self._connection.batch(*calls)))

    def replace(
        self, worker: int, run: Run, last: Mapping[str, Any], others: Mapping[str, Any]
    ) -> bool:
        """Let a running task be replaced by a graph. False if the worker no longer holds the run.

        last: the columns that the task's own row gets. others: the values of the other steps, for
            ``send``, with the row as the last of their ids.
        """
        id, attempt = run
        rows = self._connection.rows
        with self._connection.transaction():
            values = {**last, "worker": worker, "id": id, "attempt": attempt}
            found = rows(self._replacing.REPLACE, values)
            if not found:
                return False
            ((workflow, state),) = found
            # A run that was cancelled meanwhile is over, and nothing follows.
            if state != State.FAILED and others["steps"] != "[]":
                sent, parts = self._sql.send(rows, {**others, "workflow": workflow, "own": [id]})
                rows(self._replacing.HEAR, {"id": id, "parts": parts})
                if sent:
                    rows(self._replacing.JOIN, {"id": id, "workflow": sent})
        return True

    # What a keeper does. It waits for nobody: if a lock does not come, these raise an error of the
    # database that may pass by itself, and change nothing. It has leases to renew, also while the
    # database is slow: so each is one round trip, unless there is something to do.

    def _impatiently(self, *calls: sql.Call) -> list[list[tuple[Any, ...]]]:
        """Run statements as one transaction, in one round trip. The rows of each."""
        limit: list[sql.Call] = [(self._sql.LIMIT, {})] if self._sql.LIMIT else []
        return self._connection.batch(*limit, *calls)[len(limit) :]

    def settle(self, since: float) -> int:
        """Tell those that wait for a failure what has failed in the last seconds, and release all
        that was left. How many steps were released."""
        release: list[sql.Call] = [(each, {"served": []}) for each in self._sql.RELEASE_LEFT]
        _, *released = self._impatiently((self._sql.SETTLE_RECENT, {"since": since}), *release)
        return sum(map(len, released))

    # The parts of settle(), for a database that refuses it for one of the steps.

    def tell_failures(self, since: float) -> bool:
        """Tell those that wait for a failure what has failed in the last seconds. True."""
        self._impatiently((self._sql.SETTLE_RECENT, {"since": since}))
        return True

    def left(self, after: int, limit: int) -> list[int]:
        """Some of the steps after this one that have all their inputs and are not released."""
        rows = self._connection.rows(self._sql.LEFT, {"after": after, "limit": limit})
        return [step for (step,) in rows]

    def release_steps(self, steps: Sequence[int]) -> int:
        """Release these steps, if they have all their inputs. How many were released."""
        values = {"steps": sql.Ids(steps), "served": []}
        return sum(map(len, self._impatiently(*((s, values) for s in self._sql.RELEASE_STEPS))))

    def with_voids(self, after: int, limit: int) -> list[int]:
        """Some of the steps after this one with a void edge, in order of id."""
        rows = self._connection.rows(self._sql.WITH_VOIDS, {"after": after, "limit": limit})
        return [step for (step,) in rows]

    def drop_voided(self, steps: Sequence[int]) -> list[tuple[int, str]]:
        """Remove those of these steps that can never be released: the id and the name of each."""
        rows = self._connection.rows
        with self._connection.transaction():
            if self._sql.LIMIT:
                rows(self._sql.LIMIT, {})
            found = [(id, name) for id, name in rows(self._sql.VOIDED, {"steps": sql.Ids(steps)})]
            if found:
                dropped = sql.Ids(id for id, _ in found)
                rows(self._sql.FORGET, {"steps": dropped})
                rows(self._sql.REMOVE, {"steps": dropped})
                rows(self._sql.VOID, {"parts": dropped})
        return found

    def walk(self, after: Place, limit: int) -> Walked:
        """Look at some edges, in the order of their places."""
        step, place, part = after
        values = {"step": step, "place": place, "part": part, "limit": limit}
        found = self._connection.rows(self._sql.WALK, values)
        return Walked(
            orphans=sorted({part for _, _, part, state, _ in found if state is None}),
            failed=sorted({part for _, _, part, state, _ in found if state == State.FAILED}),
            gone=sorted({step for step, _, _, _, has_step in found if not has_step}),
            next=BEGIN if len(found) < limit else found[-1][:3],
        )

    def void(self, parts: Sequence[int]) -> bool:
        """Void the edges of parts that are gone. True."""
        self._impatiently((self._sql.VOID, {"parts": sql.Ids(parts)}))
        return True

    def tell(self, parts: Sequence[int]) -> bool:
        """Tell those that wait for a failure of these, if they have failed. True."""
        self._impatiently((self._sql.SETTLE, {"parts": sql.Ids(parts)}))
        return True

    def forget(self, steps: Sequence[int]) -> bool:
        """Remove the edges of steps that are gone. True."""
        self._impatiently((self._sql.FORGET, {"steps": sql.Ids(steps)}))
        return True

    def open(self, after: int, limit: int) -> list[Opened]:
        """Some of the workflows that have not ended, in order of id."""
        values = {"after": after, "limit": limit}
        return [Opened(*row) for row in self._connection.rows(self._sql.OPEN, values)]

    def finish(self, ids: Sequence[int]) -> int:
        """Note that no step of these is left. How many were not noted before."""
        return self._connection.count(self._sql.FINISH, {"ids": sql.Ids(ids)})

    def cancel(self, ids: Sequence[int]) -> None:
        """Cancel these workflows: what waits goes, and what runs is asked to end."""
        values = {"ids": sql.Ids(ids)}
        tell: list[sql.Call] = [(self._tell_cancelled, {})] if self._tell_cancelled else []
        cancel: list[sql.Call] = [(each, values) for each in self._sql.CANCEL]
        self._impatiently((self._sql.LOCK, values), *cancel, *tell)

    def prune(self, ttl: float | None, limit: int) -> int:
        """Remove workflows that ended so many seconds ago, and at most so many."""
        values = {"ttl": ttl, "limit": limit}
        return 0 if ttl is None else self._connection.count(self._sql.PRUNE, values)
