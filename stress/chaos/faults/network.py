"""Faults of the network between a pool and its database."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

from stress.chaos.faults.base import PoolFault, Server
from stress.chaos.faults.processes import OVERSLEEP, REDEPLOYED
from stress.chaos.needs import Need
from stress.chaos.options import Options
from stress.rig import netns

if TYPE_CHECKING:
    from stress.chaos.deployment import Deployment
    from stress.chaos.scene import Scene

#: Seconds by which a slow network delays each direction.
SLOWNESS = 0.1


class HalfOpen(PoolFault):
    name = "half-open"
    row = 13
    text = "a proxy passes nothing on and closes nothing, for longer than the lease"
    right = "the pool stops its work before the lease ends; others take over; it comes back"
    effect = "cut"
    hits_pool = True
    server = Server.POSTGRESQL

    def seconds(self, options: Options) -> float:
        return options.lease + OVERSLEEP

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        target.proxy.hold()
        try:
            scene.pause(scene.options.lease + OVERSLEEP)
        finally:
            target.proxy.forward()


class CutOff(PoolFault):
    name = "cut-off"
    row = 13
    text = (
        "the network cable of the pool's host (a namespace) is unplugged for longer than the lease"
    )
    right = "the pool stops its work before the lease ends; others take over; it comes back"
    effect = "cut"
    hits_pool = True
    needs = frozenset({Need.NAMESPACE})
    server = Server.POSTGRESQL

    def seconds(self, options: Options) -> float:
        return options.lease + OVERSLEEP

    def missing(self) -> str | None:
        try:
            netns.Host(63).close()
        except netns.Unavailable as error:
            return str(error)
        return None

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        assert target.host is not None
        target.host.pull_cable()
        try:
            scene.pause(scene.options.lease + OVERSLEEP)
        finally:
            target.host.plug_in()


class SlowDatabase(PoolFault):
    name = "slow-database"
    row = 14
    text = "each round trip to the database takes 200 ms longer"
    right = "everything is slower, but right: no lease runs out"
    effect = "slow"
    hits_pool = True
    server = Server.POSTGRESQL

    def seconds(self, options: Options) -> float:
        return 5.0

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        target.proxy.forward(delay=SLOWNESS)
        try:
            scene.pause(5.0)
        finally:
            target.proxy.forward()


class PgBouncer(PoolFault):
    name = "pgbouncer"
    row = 24
    text = "a pool goes through PgBouncer in transaction mode for a while, without LISTEN"
    right = "it works as before"
    hits_pool = True
    server = Server.POSTGRESQL

    def seconds(self, options: Options) -> float:
        return REDEPLOYED

    def missing(self) -> str | None:
        found = shutil.which("pgbouncer")
        return None if found else "there is no pgbouncer command (install Debian's pgbouncer)"

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        with scene.bouncer(target) as url:
            target.redeploy(DATABASE_URL=url, **scene.taskq_settings(LISTEN=False))
            scene.wait_at_work(target)
            scene.pause(3.0)
            target.redeploy()


FAULTS = [HalfOpen, CutOff, SlowDatabase, PgBouncer]
