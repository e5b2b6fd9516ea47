"""Faults of hosts: wrong clocks, dying enqueuers, very many workers."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

from stress.chaos.faults.base import Lane, PoolFault, SceneFault, Server
from stress.chaos.faults.processes import REDEPLOYED
from stress.chaos.needs import Need
from stress.chaos.options import Options

if TYPE_CHECKING:
    from stress.chaos.deployment import Deployment
    from stress.chaos.scene import Scene

#: Workers in each of the two big pools.
CROWD = 50


class WrongClock(PoolFault):
    name = "wrong-clock"
    row = 15
    text = "a host whose wall clock is minutes fast or slow"
    right = "nothing depends on it"
    hits_pool = True

    def seconds(self, options: Options) -> float:
        return REDEPLOYED

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        target.redeploy(STRESS_CLOCK_OFFSET=str(rng.choice([-1, 1]) * rng.uniform(60, 600)))
        scene.pause(3.0)
        target.redeploy()


class EnqueuerKill(SceneFault):
    name = "enqueuer-kill"
    row = 19
    text = "SIGKILL to an enqueuer: at any time, or right before, during or after its commit"
    right = "committed tasks run, others never do"
    weight = 6

    def seconds(self, options: Options) -> float:
        return 0.1

    def inject(self, scene: Scene, rng: random.Random) -> None:
        scene.enqueuers.kill_one(rng)


class Many(SceneFault):
    name = "many"
    row = 25
    text = "two more pools of fifty workers each; then one of the two is killed"
    right = "each task is reclaimed once, without a deadlock"
    lane = Lane.DATABASE
    needs = frozenset({Need.CONNECTIONS})
    alone = True
    server = Server.POSTGRESQL

    def seconds(self, options: Options) -> float:
        return 25.0 + options.lease

    def inject(self, scene: Scene, rng: random.Random) -> None:
        with scene.more_pools(2, workers=CROWD) as (first, second):
            first.wait_up(seconds=40)
            second.wait_up(seconds=40)
            scene.send(["slower"] * 100)
            scene.pause(1.0)
            first.expect(-signal.SIGKILL)
            first.hold_down()
            scene.kill([first.pid], role="pool", cause=self.name, taking=first.children())
            scene.pause(scene.options.lease + 4.0)


FAULTS = [WrongClock, EnqueuerKill, Many]
