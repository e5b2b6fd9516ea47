"""What one pool serves, and how its processes reach each other."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field

from pool import Scoreboard, State
from taskq.conf import Settings
from taskq.queues import Queues

#: The keeper's slot on the scoreboard: it is the first role.
KEEPER = 0


@dataclass(frozen=True)
class Service:
    """Common to the keeper and the workers; made before the fork.

    alias: the database. burst: end when nothing is due.
    """

    settings: Settings
    queues: Queues
    alias: str
    burst: bool = False
    host: str = field(default_factory=socket.gethostname)
    supervisor: int = field(default_factory=os.getpid)

    @property
    def pool(self) -> str:
        return f"{self.host}:{self.supervisor}"

    def wake_one(self, scoreboard: Scoreboard) -> bool:
        """Wake a worker that sleeps; whether there is one."""
        for slot in scoreboard.slots[KEEPER + 1 :]:
            if slot.alive and slot.state == State.IDLE:
                slot.wake()
                return True
        return False
