"""One PostgreSQL in simulated time: statements share its cores, and commits share a flush."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any

import simpy

Steps = Generator[simpy.Event, Any, None]


class Database:
    """Statements wait for a core and use it. Those that write wait for the disk too.

    cores: of the server. round_trip: seconds between a client and it.
    flush: seconds of a flush of the WAL. It serves all commits that wait.
    """

    def __init__(
        self, env: simpy.Environment, *, cores: int, round_trip: float, flush: float
    ) -> None:
        self.env = env
        self.cores = simpy.Resource(env, capacity=cores)
        self.round_trip = round_trip
        self.flush = flush
        self.busy = 0.0
        self.statements: Counter[str] = Counter()
        self._flushing = False
        self._commits: list[simpy.Event] = []

    def execute(self, kind: str, cpu: float, *, commits: bool = False) -> Steps:
        """Run one statement for a client."""
        yield self.env.timeout(self.round_trip)
        yield from self.compute(cpu)
        self.busy += cpu
        self.statements[kind] += 1
        if commits:
            yield self._committed()

    def compute(self, cpu: float) -> Steps:
        """Use a core for ``cpu`` seconds."""
        with self.cores.request() as core:
            yield core
            yield self.env.timeout(cpu)

    def _committed(self) -> simpy.Event:
        done = self.env.event()
        self._commits.append(done)
        if not self._flushing:
            self.env.process(self._flush())
        return done

    def _flush(self) -> Steps:
        self._flushing = True
        while self._commits:
            group, self._commits = self._commits, []
            yield self.env.timeout(self.flush)
            for commit in group:
                commit.succeed()
        self._flushing = False
