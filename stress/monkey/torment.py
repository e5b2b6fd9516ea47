"""The round of the monkey: hit a process, thaw those whose time is up, look, show."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from types import FrameType

import psutil

from stress.monkey import victims
from stress.monkey.faults import Blow, Monkey
from stress.monkey.freezer import Freezer
from stress.monkey.victims import PoolAtWork
from stress.monkey.witness import Case, Witness

#: Seconds between looks at the tables, while a case is open and when all are settled.
LOOK = 0.025
GLANCE = 0.25


class Torment:
    """One run of the monkey against a pool.

    kill_every: seconds between two faults. patience: seconds after the last one in
    which the pool must have recovered. show: called with the state of the run in words.
    """

    def __init__(
        self,
        pool: PoolAtWork,
        monkey: Monkey,
        witness: Witness,
        freezer: Freezer,
        *,
        kill_every: float,
        patience: float,
        show: Callable[[str], None],
    ) -> None:
        self.pool = pool
        self.monkey = monkey
        self.witness = witness
        self.freezer = freezer
        self.kill_every = kill_every
        self.patience = patience
        self.show = show
        self.interrupted = False
        self._frozen: list[tuple[float, Case]] = []

    def run(self, seconds: float) -> None:
        """Inject faults for these seconds, thaw everything, then wait for the pool to recover.

        An interrupt ends the faults, or the waiting.
        """
        ends = time.monotonic() + seconds
        due = time.monotonic() + min(1.0, self.kill_every)
        while (now := time.monotonic()) < ends and self._goes_on:
            if now >= due:
                due = now + self.kill_every
                self.strike()
            self.follow(f"{ends - now:.0f} s to go")
        self.thaw(everybody=True)
        ends = time.monotonic() + self.patience
        while not self.settled and time.monotonic() < ends and self._goes_on:
            self.follow("waiting for the pool to recover")

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The handler of a signal: end the run at its next step, and the second time at once.

        In the middle of a statement an exception would break the connection, which the
        report needs."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    @property
    def _goes_on(self) -> bool:
        return self.pool.alive and not self.interrupted

    @property
    def settled(self) -> bool:
        return all(case.settled for case in self.witness.cases) and not self.witness.stranded()

    def strike(self) -> None:
        """Freeze a victim, read what it holds, and kill it or leave it frozen for a while."""
        blow = self.monkey.next(self.pool.victims(), self.freezer.frozen)
        if blow is None:
            return
        process = blow.victim.process
        with contextlib.suppress(psutil.NoSuchProcess):  # it has died by itself
            if not self.freezer.freeze(process):
                return
            blow = Blow(blow.kind, self.pool.again(blow.victim), blow.seconds)
            case = self.witness.open(blow)
            if blow.kind.kills:
                victims.kill(blow.victim)
                self.freezer.thaw(process)
            else:
                self._frozen.append((time.monotonic() + blow.seconds, case))

    def follow(self, stage: str) -> None:
        self.thaw()
        self.witness.look()
        self.show(stage)
        busy = self._frozen or not all(case.settled for case in self.witness.cases)
        time.sleep(LOOK if busy else min(GLANCE, self.kill_every / 4))

    def thaw(self, *, everybody: bool = False) -> None:
        """Thaw those whose time is up, or everything."""
        now = time.monotonic()
        for due, case in list(self._frozen):
            if everybody or now >= due:
                self.freezer.thaw(case.blow.victim.process)
                case.thawed = True
                self._frozen.remove((due, case))
