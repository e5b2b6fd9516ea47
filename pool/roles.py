"""What the supervisor is asked to keep alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pool.child import Child


@dataclass(frozen=True, kw_only=True)
class Role:
    """A kind of child.

    name: shown in titles and log lines.
    run: called in the child; its return value is the exit code (None is 0).
    count: how many of them; TTIN and TTOU change it where ``scalable``.
    scalable: this is the role that does the pool's work. It is stopped first.
    support: outlives the scalable roles, so that it can clean up after them.
    patience: seconds without a beat after which the child counts as stuck and is
        killed; None for a role that does not beat.
    boot_patience: seconds from the fork until it must have booted, or it is killed as well. By
        default two minutes: on a machine that swaps, a start may take one.
    oom_victim: the kernel should pick it rather than the supervisor.
    stops_pool: an exit with this code stops the pool, which then exits with it too.
    """

    name: str
    run: Callable[[Child], int | None]
    count: int = 1
    scalable: bool = False
    support: bool = False
    patience: float | None = None
    boot_patience: float = 120.0
    oom_victim: bool = False
    stops_pool: int | None = None
