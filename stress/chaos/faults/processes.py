"""Faults of processes: killed, frozen, stopped by a signal, dying at their start."""

from __future__ import annotations

import random
import signal
from abc import abstractmethod
from typing import TYPE_CHECKING

from stress.chaos.faults.base import PoolFault
from stress.chaos.options import DRAIN_TIMEOUT, Options

if TYPE_CHECKING:
    from stress.chaos.deployment import Deployment
    from stress.chaos.scene import Scene

#: Seconds that a pool stays frozen beyond its lease. By then others must have taken over.
OVERSLEEP = 1.5
#: Seconds that a task must have run before its worker is killed.
LONG_ENOUGH = 0.03
#: The most forks of a pool for each of its seats, until the wait is longer than the crash loop: at
#: once, again at once, then after 0.1 s, 0.2 s, 0.4 s, 0.8 s, 1.6 s and 3.2 s. And one more as the
#: pool ends. A pool that is started again begins anew.
MOST_FORKS = 9
#: The seats of a pool beside those of its workers: for the keeper and for the metrics.
SUPPORT = 2
#: Seconds between the end of a pool and its full return.
RESTART = 2.0
#: Seconds for which a pool is deployed anew, with what it takes to deploy it and to undo that.
REDEPLOYED = 3.0 + 2 * (DRAIN_TIMEOUT + RESTART)


class WorkerKill(PoolFault):
    name = "worker-kill"
    row = 1
    text = "SIGKILL to a worker, to one that runs a task if there is one"
    right = "its task starts again within half a second, and is charged one loss"
    weight = 12

    def seconds(self, options: Options) -> float:
        return 0.1

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        before = target.busy_workers()
        scene.pause(LONG_ENOUGH)
        # In the middle of a task: it runs the same one as a moment ago.
        busy = [pid for pid, title in target.busy_workers().items() if before.get(pid) == title]
        workers = busy or target.children("worker")
        if workers:
            scene.kill([rng.choice(workers)], role="worker", cause=self.name)


class KeeperKill(PoolFault):
    name = "keeper-kill"
    row = 7
    text = "SIGKILL to the keeper, several times"
    right = "a new keeper is forked, and no lease runs out"
    weight = 3

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        for _ in range(rng.randint(1, 3)):
            scene.kill(target.children("keeper"), role="keeper", cause=self.name)
            scene.pause(rng.uniform(0.05, 0.3))


class SupervisorKill(PoolFault):
    name = "supervisor-kill"
    row = 8
    text = "SIGKILL to the supervisor"
    right = "its children end by themselves within a second; their tasks are reclaimed"

    def seconds(self, options: Options) -> float:
        return RESTART

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        target.expect(-signal.SIGKILL)
        children = target.children()
        target.hold_down()
        scene.kill([target.pid], role="supervisor", cause=self.name, taking=children)
        scene.pause(1.0)
        scene.must_be_gone(children)
        target.let_up()
        target.wait_up()


class GroupKill(PoolFault):
    name = "group-kill"
    row = 9
    text = "SIGKILL to a whole pool, which stays down for longer than the lease"
    right = "other pools take over its tasks within the lease and one heartbeat"

    def seconds(self, options: Options) -> float:
        return options.lease + options.heartbeat + 1.0 + RESTART

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        target.expect(-signal.SIGKILL)
        target.hold_down()
        scene.kill([target.pid], role="pool", cause=self.name, taking=target.children())
        scene.pause(scene.options.lease + scene.options.heartbeat + 1.0)
        target.let_up()
        target.wait_up()


class Freeze(PoolFault):
    """SIGSTOP for longer than the lease, then SIGCONT."""

    row = 10

    def seconds(self, options: Options) -> float:
        return options.lease + OVERSLEEP

    @abstractmethod
    def victims(self, target: Deployment, rng: random.Random) -> list[int]: ...

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        with scene.frozen(self.victims(target, rng)):
            scene.pause(scene.options.lease + OVERSLEEP)


class WorkerFreeze(Freeze):
    name = "worker-freeze"
    text = "SIGSTOP to a worker for longer than the lease"
    right = "it is killed when its lease ends; another worker runs its task"

    def victims(self, target: Deployment, rng: random.Random) -> list[int]:
        workers = list(target.busy_workers()) or target.children("worker")
        return [rng.choice(workers)] if workers else []


class KeeperFreeze(Freeze):
    name = "keeper-freeze"
    text = "SIGSTOP to the keeper for longer than the lease"
    right = "it is replaced before a lease ends"

    def victims(self, target: Deployment, rng: random.Random) -> list[int]:
        return target.children("keeper")


class SupervisorFreeze(Freeze):
    name = "supervisor-freeze"
    text = "SIGSTOP to the supervisor for longer than the lease, then SIGCONT"
    right = "its children work on; those that die meanwhile are replaced afterwards"

    def victims(self, target: Deployment, rng: random.Random) -> list[int]:
        return [target.pid]


class PoolFreeze(Freeze):
    name = "pool-freeze"
    text = "SIGSTOP to a whole pool for longer than the lease, then SIGCONT, like a paused machine"
    right = "others take over; the woken pool stops within a tick, and its late finish is fenced"

    def victims(self, target: Deployment, rng: random.Random) -> list[int]:
        return [target.pid, *target.children()]


class CrashLoop(PoolFault):
    name = "crash-loop"
    row = 16
    text = "for a while, every new process of a running or a starting pool dies at once"
    right = "the supervisor waits longer each time and recovers; a pool never up exits with 1"
    hits_pool = True

    def seconds(self, options: Options) -> float:
        return 6.0 + RESTART

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        starting = rng.random() < 0.5
        with target.broken_at_boot() as forks:
            if starting:
                # 0 if it was already up when it noticed TERM.
                target.expect(0, 1)
                target.stop()
            else:
                scene.kill(target.children("worker")[:2], role="worker", cause=self.name)
            scene.pause(4.0)
            counts = forks()
        most = MOST_FORKS * (scene.options.concurrency + SUPPORT)
        for pool in target.sessions:
            if counts[pool] > most:
                text = f"pool {pool} forked {counts[pool]} times in a crash loop"
                raise AssertionError(f"{text}, where {most} are enough")
        target.wait_up()


class Term(PoolFault):
    name = "term"
    row = 23
    text = "TERM in the middle of work; or twice; or INT twice; or KILL after TERM"
    right = "it drains, gives back the rest and exits with 0; no process is left"
    weight = 2
    hits_pool = True

    def seconds(self, options: Options) -> float:
        return DRAIN_TIMEOUT + RESTART

    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None:
        how = rng.choice(["TERM", "TERM TERM", "INT INT", "TERM KILL"])
        target.expect(0, -signal.SIGKILL) if how == "TERM KILL" else target.expect(0)
        pid, children = target.pid, target.children()
        first, _, second = how.partition(" ")
        target.signal(getattr(signal, f"SIG{first}"))
        if second:
            scene.pause(rng.uniform(0.0, 1.0))
        if second == "KILL":
            scene.kill([pid], role="pool", cause=self.name, taking=target.children())
        elif second and target.pid == pid:
            target.signal(getattr(signal, f"SIG{second}"))
        target.wait_replaced(pid)
        scene.must_be_gone(children)
        target.wait_up()


FAULTS = [
    WorkerKill,
    KeeperKill,
    SupervisorKill,
    GroupKill,
    WorkerFreeze,
    KeeperFreeze,
    SupervisorFreeze,
    PoolFreeze,
    CrashLoop,
    Term,
]
