"""What is claimed: a lane to claim from, what is wanted, and what a claim brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    quick: names of those that may come together.
    """

    place: Lane | Queues
    limit: int
    quick: Sequence[str]


class ClaimResult(NamedTuple):
    """What came of a claim.

    ours: the ids of the finished runs that were written with it and were ours. more: the lane
        that it was made from, if that may have more; it knows where the claim ended.
    lanes: in how many lanes tasks were due; None for a claim that has not looked.
    """

    ours: set[int]
    tasks: list[Claimed]
    more: Lane | None
    lanes: int | None
