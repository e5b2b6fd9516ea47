"""What pools under stress send by themselves."""

from __future__ import annotations

from stress.project.lab.kinds import KINDS

#: Seconds between two ticks: as the expression says, and the checker counts.
EVERY = 1
#: For the setting ``TASKQ``: a tick a second, each of them whatever happens.
SCHEDULE = {"tick": {"task": KINDS["tick"].task_name, "schedule": "* * * * * *", "catch_up": "all"}}
