"""How a fault stands in the history: its beginning, its end, and the pools that it may have hit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stress.chaos.faults import Fault
from stress.rig.history import History

if TYPE_CHECKING:
    from stress.chaos.deployment import Deployment


@contextmanager
def noted(history: History, fault: Fault, target: Deployment | None) -> Iterator[None]:
    """Note a fault around what it does, whatever comes of that.

    Where it stops its pool, each pool that ran here meanwhile was hit: some faults stop two.
    """
    about = {"name": fault.name, "target": target.name if target else ""}
    more = {"effect": fault.effect} if fault.effect else {}
    hit = target.sessions if target and fault.hits_pool else []
    first = len(hit) - 1 if hit else 0
    history.record("fault", **about, **more, phase="begin", victims=hit[first:])
    try:
        yield
    finally:
        history.record("fault", **about, **more, phase="end", victims=hit[first:])
