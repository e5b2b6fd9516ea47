"""What is claimed: a lane to claim from, what is wanted, and what a claim brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from taskq.task.claimed import Claimed
from taskq.task.queues import Queues


@dataclass(slots=True)
class Lane:
    """The waiting tasks of one queue and priority.

    wait: seconds until the first of them is due; 0 or less when it is.
    due, id: the place where a claim starts to read: the first task, then wherever the
        last claim ended. What comes before it is done, but its index entries stay for
        as long as any transaction is open that might see them.
    """

    queue: str
    priority: int
    wait: float
    due: str
    id: int


class ClaimRequest(NamedTuple):
    """What a claim asks for.

    place: a lane, or the queues of which the most urgent lane is meant. limit: tasks at most.
    quick: names of those that may come together. described: names of those that come with all that
    their front door tells of a run.
    """

    place: Lane | Queues
    limit: int
    quick: Sequence[str]
    described: Sequence[str] = ()


class ClaimResult(NamedTuple):
    """What came of a claim.

    ours: the ids of the ended runs that were written with it and were ours. more: the lane
        that it was made from, if that may have more; it knows where the claim ended.
    lanes: in how many lanes tasks were due; None for a claim that has not looked.
    """

    ours: set[int]
    tasks: list[Claimed]
    more: Lane | None
    lanes: int | None


def lanes_of(queues: Queues, rows: list[tuple[Any, ...]]) -> list[Lane]:
    return [Lane(*row) for row in rows if queues.admit(row[0])]


#: The columns of a claim that are a Claimed. Before them comes the place in the lane, after them
#: when the last task of a full claim was due; then the lane's priority, and how many lanes had
#: due tasks, where the statement has found the lane itself.
_CLAIMED = slice(1, 1 + len(Claimed._fields))


def claim_result(
    ended: list[list[tuple[Any, ...]]], rows: list[tuple[Any, ...]], request: ClaimRequest
) -> ClaimResult:
    """ended: what the statements of the endings returned. rows: what the claim did."""
    place, limit = request.place, request.limit
    # RETURNING promises no order: sort by the place in the lane.
    rows.sort()
    tasks = [Claimed._make(row[_CLAIMED]) for row in rows]
    more, lanes = (place, None) if isinstance(place, Lane) else (None, 0)
    if rows:
        due, *found = rows[-1][_CLAIMED.stop :]
        if more is None:
            priority, lanes = found
            more = Lane(tasks[-1].queue, priority, 0.0, due, tasks[-1].id)
        elif due is not None:
            more.due, more.id = due, tasks[-1].id
    return ClaimResult(ids_of(ended), tasks, more if len(tasks) == limit else None, lanes)


def ids_of(answers: list[list[tuple[Any, ...]]]) -> set[int]:
    return {id for rows in answers for (id,) in rows}
