"""A prefork process supervisor: fork, wait, restart, kill, signals.

It knows nothing about tasks, databases or Django. Hand it roles (a name, a
callable, a count) and it keeps that many children of each alive; a shared
scoreboard tells it what they do and until when they may.
"""

from pool.child import Child, Role
from pool.death import Cause, Death
from pool.scoreboard import Scoreboard, Slot, State, TooManySlots
from pool.supervisor import Supervisor

__all__ = [
    "Cause",
    "Child",
    "Death",
    "Role",
    "Scoreboard",
    "Slot",
    "State",
    "Supervisor",
    "TooManySlots",
]
