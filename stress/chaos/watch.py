"""The watcher: notices the death of each process of a pool at once, whatever killed it."""

from __future__ import annotations

import os
import select
import threading
from dataclasses import dataclass

from pool import clock
from stress.rig import processes
from stress.rig.history import History

#: Seconds between looks for deaths, and between looks for new processes.
LOOK = 0.01
SEARCH = 0.1


@dataclass
class _Watched:
    pid: int
    role: str
    alive: int  # when it was last known to live


class Watcher(threading.Thread):
    """Records the deaths of supervisors and their children.

    It holds a descriptor of each process, so that a reused pid cannot mislead it.
    """

    def __init__(self, history: History) -> None:
        super().__init__(name="watcher", daemon=True)
        self._history = history
        self._supervisors: set[int] = set()
        self._watched: dict[int, _Watched] = {}  # by descriptor
        self._poll = select.poll()
        self._over = threading.Event()

    def add(self, supervisor: int) -> None:
        """Watch a pool from now on, until its supervisor is gone."""
        self._supervisors.add(supervisor)

    def run(self) -> None:
        search_due = 0
        while not self._over.is_set():
            if clock.now() >= search_due:
                self._search()
                search_due = clock.now() + clock.nanoseconds(SEARCH)
            self._look()

    def close(self) -> None:
        self._over.set()
        self.join()
        for descriptor in self._watched:
            os.close(descriptor)

    def _search(self) -> None:
        known = {watched.pid: watched for watched in self._watched.values()}
        for supervisor in list(self._supervisors):
            for pid in (supervisor, *processes.children(supervisor)):
                if pid not in known:
                    # A dead child that its parent has yet to reap was seen already.
                    if processes.is_alive(pid):
                        self._watch(pid)
                elif not known[pid].role:
                    known[pid].role = processes.role(pid)

    def _watch(self, pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._supervisors.discard(pid)
            return
        self._watched[descriptor] = _Watched(pid, processes.role(pid), clock.now())
        self._poll.register(descriptor, select.POLLIN)

    def _look(self) -> None:
        before = clock.now()
        dead = self._poll.poll(LOOK * 1000)
        for descriptor, _ in dead:
            watched = self._watched.pop(descriptor)
            self._poll.unregister(descriptor)
            os.close(descriptor)
            self._supervisors.discard(watched.pid)
            # A child without a title yet was about to become a worker.
            self._history.record(
                "death",
                victim=watched.pid,
                role=watched.role or "worker",
                cause="seen",
                since=watched.alive,
            )
        # A process that is not among the dead was alive when this look began.
        for watched in self._watched.values():
            watched.alive = before
