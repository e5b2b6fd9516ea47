"""What the children of a sample pool do: a role's callable each, named as in
``worker=waits``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pool import Child
from tests.pool.behaviors import leaving, programs, support, working


def named(name: str) -> Callable[[Child], Any]:
    """The behavior of this name. Raises StopIteration when there is none."""
    homes = working, leaving, programs, support
    return next(vars(home)[name] for home in homes if name in vars(home))
