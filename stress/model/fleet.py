"""Many pools on one simulated database. They work in the same rounds as real pools.

A keeper renews leases, looks for dead ones, and looks for work. It looks when it hears of
work, and often while so many wake-ups come that it does not listen
(``taskq.keeper.listener``). A woken worker claims, wakes the next one, runs and finishes,
looks at the lanes and claims again, until nothing is left (``taskq.worker.claimer``). Hosts
do not die here, as that costs only one retire for each process.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import simpy

from stress.model.costs import Costs
from stress.model.database import Database, Steps
from taskq.keeper.listener import BURST_WINDOW, BUSY_LOOK, CALM, FEW_RUNS, MANY_WAKES
from taskq.worker.known_lanes import LOOK_AGAIN
from taskq.worker.pace import BATCH, MOST, QUICK


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to simulate. All times are in seconds.

    hosts: each has a pool with ``workers`` workers. cores: of the database server.
    task: how long a task runs. rate: tasks enqueued a second; None is an endless
        backlog. lease, heartbeat, poll: settings of the pools.
    round_trip, flush: of the database; None is the measured value.
    shared: workers use the cores of the database too, as on one machine.
    """

    hosts: int
    workers: int
    cores: int
    task: float
    rate: float | None
    lease: float = 30.0
    heartbeat: float = 10.0
    poll: float = 1.0
    round_trip: float | None = None
    flush: float | None = None
    shared: bool = False
    seed: int = 1

    @property
    def batch(self) -> int:
        """Tasks that a worker claims at once."""
        if self.task > QUICK:
            return 1
        return max(1, min(MOST, int(BATCH / max(self.task, 1e-6))))


@dataclass
class Outcome:
    """The result of the simulated seconds after the warm-up.

    done: tasks a second. utilization: share of the database's cores.
    statements: a second, by kind. waits: of tasks, from enqueue to start.
    renewals: how long each heartbeat statement took.
    """

    seconds: float
    done: float
    utilization: float
    statements: dict[str, float]
    waits: list[float] = field(repr=False)
    renewals: list[float] = field(repr=False)


def simulate(plan: Plan, costs: Costs, seconds: float, *, warm_up: float = 2.0) -> Outcome:
    """Run the fleet for the warm-up and then for ``seconds`` of simulated time."""
    env = simpy.Environment()
    fleet = Fleet(env, plan, costs)
    env.run(until=warm_up)
    fleet.forget()
    env.run(until=warm_up + seconds)
    database = fleet.database
    return Outcome(
        seconds=seconds,
        done=fleet.done / seconds,
        utilization=database.busy / (seconds * plan.cores),
        statements={kind: count / seconds for kind, count in database.statements.items()},
        waits=fleet.waits,
        renewals=fleet.renewals,
    )


class Fleet:
    """All pools, the waiting tasks, and the sender."""

    def __init__(self, env: simpy.Environment, plan: Plan, costs: Costs) -> None:
        self.env = env
        self.plan = plan
        self.costs = costs
        self.random = random.Random(plan.seed)
        self.database = Database(
            env,
            cores=plan.cores,
            round_trip=costs.round_trip if plan.round_trip is None else plan.round_trip,
            flush=costs.flush if plan.flush is None else plan.flush,
        )
        self.backlog: deque[float] = deque()
        self.claiming = 0
        self.processes = plan.hosts * (plan.workers + 1)
        self.forget()
        self.pools = [SimulatedPool(self) for _ in range(plan.hosts)]
        if plan.rate:
            env.process(self._enqueue(plan.rate))

    def forget(self) -> None:
        """Reset all counters."""
        self.done = 0
        self.waits: list[float] = []
        self.renewals: list[float] = []
        self.database.busy = 0.0
        self.database.statements.clear()

    @property
    def due(self) -> bool:
        return self.plan.rate is None or bool(self.backlog)

    def look(self) -> Steps:
        """Look at the lanes."""
        costs = self.costs
        yield from self.database.execute("lanes", costs.lanes if self.due else costs.lanes_idle)

    def claim(self, finished: int, *, first: bool) -> Steps:
        """Claim a batch behind those that others are claiming, and finish the last one with it.
        The first claim after a sleep also looks at the lanes."""
        size, costs = self.plan.batch, self.costs
        cpu = costs.claim.of(size) + costs.locked * self.claiming * size
        if first:
            cpu += costs.lanes if self.due else costs.lanes_idle
        if finished:
            cpu += costs.finish.of(finished)
        self.claiming += 1
        yield from self.database.execute("claim", cpu, commits=True)
        self.claiming -= 1
        self.done += finished

    def finish(self, tasks: int) -> Steps:
        yield from self.database.execute("finish", self.costs.finish.of(tasks), commits=True)
        self.done += tasks

    def run(self, tasks: int) -> Steps:
        """Do the work of the worker and of its tasks."""
        own = self.costs.client_cycle + self.costs.client_task * tasks
        if self.plan.shared:
            yield from self.database.compute(own)
        else:
            yield self.env.timeout(own)
        yield self.env.timeout(self.plan.task * tasks)

    def take(self, limit: int) -> int:
        """Take up to ``limit`` tasks."""
        if self.plan.rate is None:
            return limit
        taken = min(limit, len(self.backlog))
        for _ in range(taken):
            self.waits.append(self.env.now - self.backlog.popleft())
        return taken

    def _enqueue(self, rate: float) -> Steps:
        while True:
            yield self.env.timeout(self.random.expovariate(rate))
            self.env.process(self._one())

    def _one(self) -> Steps:
        yield from self.database.execute("enqueue", self.costs.enqueue, commits=True)
        self.backlog.append(self.env.now)
        for pool in self.pools:
            pool.notify()


class SimulatedPool:
    """A keeper and its workers."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.env = fleet.env
        self.plan = fleet.plan
        self.idle = fleet.plan.workers
        self.listens = False  # until it is calm
        self._wakes: deque[float] = deque(maxlen=MANY_WAKES)
        self._begun = 0
        #: Since when runs are counted, and how many had begun by then.
        self._since, self._begun_then = -CALM, 0
        self._woken = self.env.event()
        self.env.process(self._beat())
        self.env.process(self._dispatch())

    def notify(self) -> None:
        """Take a wake-up from an enqueuer, if this pool listens."""
        if self.listens:
            self._wakes.append(self.env.now)
            if not self._woken.triggered:
                self._woken.succeed()

    # The keeper. In a real pool its two rounds share a connection; each is short.

    def _beat(self) -> Steps:
        fleet, costs, plan = self.fleet, self.fleet.costs, self.plan
        yield self.env.timeout(fleet.random.uniform(0, plan.heartbeat))
        while True:
            began = self.env.now
            cpu = costs.renew.of(plan.workers + 1)
            yield from fleet.database.execute("renew", cpu, commits=True)
            fleet.renewals.append(self.env.now - began)
            yield from fleet.database.execute("expired", costs.expired.of(fleet.processes))
            yield self.env.timeout(max(0.0, plan.heartbeat - (self.env.now - began)))

    def _dispatch(self) -> Steps:
        yield self.env.timeout(self.fleet.random.uniform(0, self.plan.poll))
        while True:
            yield from self.fleet.look()
            now = self.env.now
            if due := self.fleet.due:
                self.wake_one()
            self._listen(now, work_in_sight=due)
            pause = self.plan.poll if self.listens else BUSY_LOOK
            self._woken = self.env.event()
            yield self._woken | self.env.timeout(pause)

    def _listen(self, now: float, *, work_in_sight: bool) -> None:
        if self.listens:
            crowd = len(self._wakes) == MANY_WAKES and now - self._wakes[0] < BURST_WINDOW
            if crowd:
                self._switch(now)
        elif (passed := now - self._since) > CALM:
            if self._begun - self._begun_then > FEW_RUNS * passed / CALM:
                self._count_from(now)
            elif not work_in_sight:
                self._switch(now)

    def _switch(self, now: float) -> None:
        self.listens = not self.listens
        self._wakes.clear()
        self._count_from(now)

    def _count_from(self, now: float) -> None:
        self._since, self._begun_then = now, self._begun

    # The workers

    def wake_one(self) -> None:
        if self.idle:
            self.idle -= 1
            self.env.process(self._work())

    def _work(self) -> Steps:
        fleet = self.fleet
        stale, held, first = 0.0, 0, True
        while True:
            if not first and self.env.now >= stale:
                if held:
                    yield from fleet.finish(held)
                    held = 0
                yield from fleet.look()
                stale = self.env.now + LOOK_AGAIN
                if not fleet.due:
                    break
            # Finished tasks are written in the commit of the next claim.
            yield from fleet.claim(held, first=first)
            held, first = fleet.take(self.plan.batch), False
            self._begun += held
            if held == self.plan.batch:
                self.wake_one()
            else:
                stale = 0.0
            if held:
                yield from fleet.run(held)
        self.idle += 1
