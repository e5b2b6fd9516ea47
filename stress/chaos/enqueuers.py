"""The enqueuers: processes that send tasks, commit or roll back, and may be killed.

``python -m stress.chaos.enqueuers COUNT RATE SEED`` loads Django once and forks them;
``Enqueuers`` is its remote control. After SIGUSR1 an enqueuer kills itself at its next
commit: right before it, somewhere in the middle, or right after it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType

from stress.rig import processes

#: The everyday load: kind -> how often it is sent, compared with the others.
WEIGHTS = {
    "fast": 55,
    "mate": 20,
    "slow": 10,
    "slower": 2,
    "atomic": 8,
    "flaky": 4,
    "failing": 2,
    "once": 3,
    "cancelled": 3,
    "cancelled-stubborn": 1,
    "cancelled-mate": 3,
    "cancelled-archived": 3,
    "joined": 6,
    "solo": 3,
    "kept": 4,
    "kept-atomic": 3,
    "archived": 4,
    "archived-atomic": 3,
    "archived-kept": 3,
}
#: The share of the transactions that send a workflow instead.
WORKFLOWS = 0.3
#: The share of the transactions that are rolled back.
GIVEN_UP = 0.15
MOST_PER_TRANSACTION = 8
#: Above this number of waiting tasks the enqueuers pause.
BACKLOG = 1500


class Enqueuers:
    """Some enqueuers. Together they send ``rate`` tasks a second; dead ones are replaced."""

    def __init__(
        self, count: int, rate: float, seed: int, *, environment: Mapping[str, str]
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stress.chaos.enqueuers", str(count), str(rate), str(seed)],
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill_one(self, rng: random.Random) -> None:
        """Kill one of them now, or make it kill itself at its next commit."""
        living = processes.children(self._process.pid)
        if living:
            number = rng.choice([signal.SIGKILL, signal.SIGUSR1, signal.SIGUSR1])
            processes.send(rng.choice(living), number)

    def stop(self) -> None:
        """Let each finish its transaction, and end them."""
        self._process.terminate()
        try:
            self._process.wait(30)
        finally:
            self.kill()

    def kill(self) -> None:
        for pid in processes.of_session(self._process.pid):
            processes.send(pid, signal.SIGKILL)
        self._process.wait()


class Enqueuer:
    """One enqueuer, in its own process."""

    def __init__(self, rate: float, rng: random.Random) -> None:
        from stress.rig.history import History

        self._history = History(os.environ["TASKQ_HISTORY"])
        self._pause = MOST_PER_TRANSACTION / 2 / rate
        self._random = rng
        self._stopping = False
        self._doomed = ""
        signal.signal(signal.SIGTERM, self._handle_term)
        signal.signal(signal.SIGUSR1, self._handle_usr1)

    def run(self) -> None:
        from stress.chaos.cancelling import Regrets
        from stress.chaos.sending import send
        from stress.chaos.workflows import Workflows

        regrets = Regrets(self._history, self._random)
        workflows = Workflows(self._history, self._random)
        kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
        while not self._stopping:
            time.sleep(self._random.expovariate(1 / self._pause))
            regrets.act()
            workflows.act()
            if self._backlog():
                continue
            if self._random.random() < WORKFLOWS:
                workflows.send(
                    give_up=self._random.random() < GIVEN_UP,
                    before_commit=self._before_commit,
                    after_commit=self._after_commit,
                )
                continue
            count = self._random.randint(1, MOST_PER_TRANSACTION - 1)
            send(
                self._history,
                self._random.choices(kinds, weights, k=count),
                give_up=self._random.random() < GIVEN_UP,
                before_commit=self._before_commit,
                after_commit=self._after_commit,
                sent=regrets.sent,
            )

    def _backlog(self) -> bool:
        """Whether enough tasks wait, or the database does not answer."""
        import django.db
        from django.db import connection

        from taskq.models import Task

        try:
            return Task.objects.pending()[: BACKLOG + 1].count() > BACKLOG
        except django.db.Error:
            connection.close()
            return True

    def _handle_term(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _handle_usr1(self, number: int, frame: FrameType | None) -> None:
        self._doomed = self._random.choice(["before", "within", "after"])

    def _before_commit(self) -> None:
        if self._doomed == "before":
            _die()
        if self._doomed == "within":
            threading.Timer(self._random.uniform(0, 0.003), _die).start()

    def _after_commit(self) -> None:
        if self._doomed:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(count: int, rate: float, seed: int) -> None:
    """Fork ``count`` enqueuers, and another one for each that dies, until TERM."""
    import django

    django.setup()
    from stress.chaos import workflows  # noqa: F401  loaded once, for all of them

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    living: dict[int, int] = {}
    born = 0
    while not stopping.is_set() or living:
        while len(living) < count and not stopping.is_set():
            born += 1
            pid = os.fork()
            if pid == 0:
                try:
                    Enqueuer(rate / count, random.Random(f"{seed} {born}")).run()
                finally:
                    os._exit(0)
            living[pid] = born
        if stopping.is_set():
            for pid in living:
                processes.send(pid, signal.SIGTERM)
        while living and (pid := os.waitpid(-1, os.WNOHANG)[0]):
            del living[pid]
        time.sleep(0.05)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
