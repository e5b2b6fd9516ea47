"""Faults of tasks: tasks that kill, hang, misbehave, or should never have been sent."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from stress.chaos.faults.base import PoolFault, SceneFault
from stress.chaos.faults.processes import REDEPLOYED
from stress.chaos.needs import Need
from stress.chaos.options import Options
from stress.project.lab.kinds import KINDS

if TYPE_CHECKING:
    from stress.chaos.deployment import Deployment
    from stress.chaos.scene import Scene

_POISON = [name for name in KINDS if name.startswith("poison-")]
_KILLER_MATES = [name for name in KINDS if name.startswith("killer-mate-")]
#: Without stack overflows: each takes half a second of CPU, too much for hundreds of tasks.
_SWIFT = [name for name in _POISON + _KILLER_MATES if not name.endswith("-stack")]
_MISBEHAVING = [name for name in KINDS if name.startswith("misbehave-")]


class WorkerOom(SceneFault):
    name = "worker-oom"
    row = 2
    text = "tasks that take memory until the kernel kills their worker, or until none is left"
    right = "as with any killed worker, and the cause is kept; the supervisor lives"
    needs = frozenset({Need.CGROUP})

    def inject(self, scene: Scene, rng: random.Random) -> None:
        scene.send(["hungry" if scene.memory_is_limited else "starved", "leak", "leak", "leak"])


class Poison(SceneFault):
    name = "poison"
    row = 3
    text = "tasks that kill their worker (exit, signals, stack), alone and in batches"
    right = "each fails with its cause after three losses; its neighbors are not harmed"
    weight = 2

    def inject(self, scene: Scene, rng: random.Random) -> None:
        batch = ["mate"] * 20
        batch[rng.randrange(20)] = rng.choice(_KILLER_MATES)
        scene.send(batch)
        scene.send(rng.sample(_POISON, 3))


class Misbehave(SceneFault):
    name = "misbehave"
    row = 4
    text = "tasks that exit, raise strange things, break connections, leave transactions, fork …"
    right = "they end like any other, and the next task is not affected"
    weight = 2

    def inject(self, scene: Scene, rng: random.Random) -> None:
        for name in rng.sample(_MISBEHAVING, 8):
            scene.send([name, "fast"])


class GilHold(SceneFault):
    name = "gil-hold"
    row = 5
    text = "a task in a C call that holds the GIL for three leases"
    right = "it runs once, and its lease is renewed all the time"

    def inject(self, scene: Scene, rng: random.Random) -> None:
        scene.send(["gil"], int(3 * scene.options.lease) + 1)


class HungTask(SceneFault):
    name = "hung-task"
    row = 6
    text = "tasks that hang, with and without masked signals, beyond a soft or a hard limit"
    right = "the soft limit raises, the hard limit kills, and both are recorded"

    def inject(self, scene: Scene, rng: random.Random) -> None:
        scene.send(["hang", "hang-masked", "warned"])


class UnknownTask(PoolFault):
    name = "unknown-task"
    row = 17
    text = "a pool runs old code that does not know a task"
    right = "the task waits for a pool that knows it"
    hits_pool = True

    def seconds(self, options: Options) -> float:
        return REDEPLOYED

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        target.redeploy(STRESS_OLD_CODE="1")
        for _ in range(6):
            scene.send(["newcomer"] * 3)
            scene.pause(0.5)
        target.redeploy()


class PoisonFlood(SceneFault):
    name = "poison-flood"
    row = 18
    text = "one task in ten kills its worker, hundreds at once"
    right = "all poison fails with its cause, all good tasks are done, and work never stops"

    def inject(self, scene: Scene, rng: random.Random) -> None:
        for _ in range(10):
            scene.send(rng.choice(_SWIFT) if rng.random() < 0.1 else "mate" for _ in range(30))


class BadRows(SceneFault):
    name = "bad-rows"
    row = 22
    text = "rows typed by hand: broken arguments, wrong types, forged pickles, huge values"
    right = "each fails with a clear reason, and no worker dies of it"

    def inject(self, scene: Scene, rng: random.Random) -> None:
        scene.type_bad_rows()


FAULTS = [
    WorkerOom,
    Poison,
    Misbehave,
    GilHold,
    HungTask,
    UnknownTask,
    PoisonFlood,
    BadRows,
]
