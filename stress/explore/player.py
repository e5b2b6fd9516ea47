"""A thread that plays actors, one after another, on connections of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from django.db import connection

from stress.explore.actors import Hands
from stress.explore.gate import Doing, Gate, Gates, Stepped, stepping
from stress.explore.scene import Scene
from taskq.store import connecting
from taskq.store.tasks import TaskStore


class Player:
    """One of the players that act at the same time.

    actor: the actor that it plays. name: the same, with a mark if others play it too.
    pids: of its sessions in the server. error: the exception of its actor.
    """

    def __init__(self, gates: Gates) -> None:
        self.gate = Gate(gates)
        self.actor = self.name = ""
        self.pids: list[int] = []
        self.error: Exception | None = None
        self._jobs: queue.SimpleQueue[tuple[Callable[[Hands], None], Scene] | None]
        self._jobs = queue.SimpleQueue()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("no connection to the database within 60 s")

    def play(self, name: str, mark: int, actor: Callable[[Hands], None], scene: Scene) -> None:
        """Begin to play. The first statement waits to be let through."""
        self.actor, self.name, self.error = name, name + "'" * mark, None
        self.gate.now(Doing.MOVING)
        self._jobs.put((actor, scene))

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        raw = connecting.connect("default", lease=3600.0).connection
        self.pids = [int(raw.rows("SELECT pg_backend_pid()", {})[0][0])]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            self.pids.append(cursor.fetchone()[0])
        db = TaskStore(Stepped(raw, self.gate), "postgresql")
        self._ready.set()
        with connection.execute_wrapper(stepping(self.gate)):
            while (job := self._jobs.get()) is not None:
                actor, scene = job
                try:
                    actor(Hands(scene, db, self.gate))
                except Exception as error:
                    self.error = error
                self.gate.now(Doing.NOTHING)
        raw.close()
        connection.close()
