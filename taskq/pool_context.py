"""What one pool serves, and how its processes reach each other."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pool import Scoreboard, Slot, State, clock, kernel
from taskq.conf import Settings
from taskq.schedules.entries import entries
from taskq.schedules.plan import Plan
from taskq.sql import Turn
from taskq.store.session import StoreSession
from taskq.task import registry
from taskq.task.keep_finished import Lifetimes
from taskq.task.measures import COLUMNS, MOST_KEYS
from taskq.task.queues import Queues

#: The keeper's slot on the scoreboard: it is the first role.
KEEPER = 0
#: Bytes for the sums of a pool at the beginning of a minute (:mod:`taskq.keeper.rollups`).
KEEP = MOST_KEYS * 1024
#: Seconds for which a worker that looks for work is relied on: longer than most claims take.
LOOK_TRUSTED = 0.050


def scoreboard(children: int) -> Scoreboard:
    """The memory that the processes of a pool share, for so many children.

    Raises what ``Scoreboard`` does.
    """
    return Scoreboard(children, columns=COLUMNS, keep=KEEP)


class Bounds(NamedTuple):
    """The least and the most workers of a pool."""

    least: int
    most: int


@dataclass(frozen=True)
class PoolContext:
    """Common to the keeper and the workers; made before the fork.

    alias: the database. burst: end when nothing is due. autoscale: between how many workers the
    pool may have; None for a fixed number.
    """

    settings: Settings
    queues: Queues
    alias: str
    burst: bool = False
    autoscale: Bounds | None = None
    host: str = field(default_factory=socket.gethostname)
    supervisor: int = field(default_factory=os.getpid)
    #: Tells this pool from all others, also later: a process id comes again.
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", Plan(entries(self.alias)))

    @property
    def lifetimes(self) -> set[float]:
        """Seconds for which finished tasks of this code and these settings are kept."""
        options = (definition.options for definition in registry.definitions())
        return Lifetimes(self.settings.kept_queues).every(options)

    @property
    def pool(self) -> str:
        return f"{self.host}:{self.supervisor}"

    @property
    def keeper_patience(self) -> float:
        """Seconds without a beat after which the keeper is replaced.

        Short enough to fork another keeper before a lease expires. But longer than a connection to
        a dead database takes to fail.
        """
        lease, heartbeat = self.settings.lease, self.settings.heartbeat
        return max(2.5, heartbeat + (lease - heartbeat) / 3)

    def session(
        self, owner: str, turn: Turn | None = None, *, lock_wait: float | None = None
    ) -> StoreSession:
        """The connection to the queue of one of the pool's processes.

        turn, lock_wait: see :func:`taskq.store.connecting.connect`.
        """
        return StoreSession(
            owner,
            self.alias,
            self.settings.lease,
            direct=self.settings.direct,
            turn=turn,
            lock_wait=lock_wait,
        )

    def sleepers(self, scoreboard: Scoreboard) -> Iterator[Slot]:
        """The workers that sleep; one that is stopped (SIGSTOP) would not wake."""
        return (slot for slot in _idle(scoreboard) if kernel.is_running(slot.pid))

    def somebody_looks(self, slots: Iterable[Slot]) -> bool:
        """Whether one of these workers is about to see what is due. A look that takes long does
        not count: its process may be stopped, or may wait for the database."""
        fresh = clock.now() - clock.nanoseconds(LOOK_TRUSTED)
        return any(slot.look_began > max(fresh, slot.look_ended) for slot in slots)

    def wake_one(self, scoreboard: Scoreboard, *, turn: int = 0) -> None:
        """Wake a worker that sleeps, if there is one: the first, or each in its turn."""
        if turn:
            if sleepers := list(self.sleepers(scoreboard)):
                sleepers[turn % len(sleepers)].wake()
            return
        for slot in self.sleepers(scoreboard):
            slot.wake()
            return

    def wake_first(self, scoreboard: Scoreboard) -> None:
        """The same without asking the kernel whether it is stopped, which takes longer than
        all the rest: for a caller that will soon see whether it woke."""
        for slot in _idle(scoreboard):
            slot.wake()
            return


def process_name(slot: Slot) -> str:
    """The name of the process in a slot, as the table of workers has it."""
    return "keeper" if slot.index == KEEPER else f"worker {slot.number}"


def _idle(scoreboard: Scoreboard) -> Iterator[Slot]:
    return (
        slot
        for slot in scoreboard.slots[KEEPER + 1 :]
        # A worker that was asked to end claims nothing more.
        if slot.alive and slot.state == State.IDLE and slot.asked != slot.generation
    )
