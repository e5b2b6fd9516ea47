"""A prefork process supervisor: fork, wait, restart, kill, signals.

The package knows nothing about tasks, databases or Django. The caller gives it roles: a name, a
callable and a count. The supervisor keeps that many children of each role alive. A shared
scoreboard tells it what each child does, and at which time it must stop.
"""

from pool.child import Child, Role
from pool.death import Cause, Death
from pool.scoreboard import Contact, Scoreboard, TooManySlots
from pool.slot import Others, Slot, State
from pool.supervisor import Supervisor

__all__ = [
    "Cause",
    "Child",
    "Contact",
    "Death",
    "Others",
    "Role",
    "Scoreboard",
    "Slot",
    "State",
    "Supervisor",
    "TooManySlots",
]
