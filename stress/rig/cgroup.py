"""Memory cgroups, of version 1 or 2. The kernel kills a process that exceeds the limit."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from stress.rig.closing import Closing
from stress.rig.pools import wait_until

MOUNTS = Path("/sys/fs/cgroup")


class Unavailable(Exception):
    """No memory cgroup can be made here. The text says why."""


class MemoryCgroup(Closing):
    """A memory cgroup below that of this process. It is removed when it is closed.

    limit: bytes that all its processes together may use.

    Raises Unavailable where the machine or the rights of this process do not allow it.
    """

    def __init__(self, name: str, limit: int, *, mounts: Path = MOUNTS) -> None:
        self.version, parent = _our_own(mounts)
        self.path = parent / name
        try:
            if self.version == 2:
                (parent / "cgroup.subtree_control").write_text("+memory")
            self.path.mkdir()
            names = {1: "memory.limit_in_bytes", 2: "memory.max"}
            (self.path / names[self.version]).write_text(str(limit))
        except OSError as error:
            with contextlib.suppress(OSError):
                self.path.rmdir()
            raise Unavailable(f"a cgroup cannot be made in {parent}: {error.strerror}") from error

    @property
    def prefix(self) -> list[str]:
        """The start of a command line: it enters the cgroup, then runs the command that follows."""
        script = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        return ["sh", "-c", script, str(self.path)]

    def oom_kills(self) -> int:
        """How many of its processes the kernel has killed for memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        lines = (self.path / name).read_text().splitlines()
        return int(dict(line.split() for line in lines)["oom_kill"])

    def close(self) -> None:
        """Wait until its processes have ended, and remove it.

        Raises TimedOut when they do not end.
        """
        wait_until(self._removed, seconds=10, what=f"{self.path} is empty")

    def _removed(self) -> bool:
        try:
            self.path.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True


def _our_own(mounts: Path) -> tuple[int, Path]:
    """The version, and the directory of the memory cgroup that this process is in."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError as error:
        raise Unavailable("this system has no cgroups") from error
    entries = [line.split(":", 2) for line in lines]
    for _, controllers, path in entries:
        if "memory" in controllers.split(","):
            return 1, _first(mounts / "memory" / path.lstrip("/"), mounts / "memory")
    for _, controllers, path in entries:
        if controllers == "":
            own = _first(mounts / path.lstrip("/"), mounts)
            if "memory" in (own / "cgroup.controllers").read_text().split():
                return 2, own
    raise Unavailable("no memory controller is mounted in /sys/fs/cgroup")


def _first(inside: Path, fallback: Path) -> Path:
    """The path inside, or the root: in a container the own cgroup may be mounted as the root."""
    found = inside if inside.exists() else fallback
    if not os.access(found, os.W_OK):
        raise Unavailable(f"{found} cannot be written by this user")
    return found
