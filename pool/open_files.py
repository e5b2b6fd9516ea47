"""Room for the files that the processes of a pool keep open."""

from __future__ import annotations

import math
import resource

#: A pipe, by which a child is woken; all processes of a pool have those of all.
OF_A_SLOT = 2
#: What a child may open besides, for itself and for a run.
OF_A_CHILD = 128
#: What part of the limit may be open before a child counts as one that leaks.
FULL = 3 / 4


def needed(slots: int) -> int:
    """The least limit of open files with which a pool of so many slots works."""
    return math.ceil((OF_A_SLOT * slots + OF_A_CHILD) / FULL)


def make_room(files: int) -> int:
    """Raise this process's limit of open files to so many, if it is lower and may be raised; the
    limit that holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft == endless or soft >= files:
        return files
    limit = files if hard == endless else min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit
