"""The schedule of the pools under stress."""

from __future__ import annotations

from stress.project.lab.kinds import KINDS

#: Seconds between two ticks. It must agree with the expression below.
EVERY = 1
#: For the setting ``TASKQ``: one tick a second, and missed ticks are made up for.
SCHEDULE = {"tick": {"task": KINDS["tick"].task_name, "schedule": "* * * * * *", "catch_up": "all"}}
