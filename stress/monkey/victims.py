"""The processes of a running pool, found by the pid of the supervisor and their titles."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import psutil

from stress.rig.pools import TITLE


class Refused(Exception):
    """The monkey will not do this. The text says why, and what to do instead."""


@dataclass(frozen=True)
class Victim:
    """A keeper or a worker. ``doing`` is the rest of its title: "idle", or name and #id."""

    name: str
    doing: str
    process: psutil.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def task_id(self) -> int | None:
        """The id of the task in its title."""
        number = self.doing.rpartition("#")[2]
        return int(number) if number.isdigit() else None


class PoolAtWork:
    """A running pool that was started elsewhere.

    pid: of its supervisor. Raises Refused if that is no supervisor of taskq.
    """

    def __init__(self, pid: int) -> None:
        try:
            self.supervisor = psutil.Process(pid)
            title = _title(self.supervisor)
        except psutil.NoSuchProcess:
            raise Refused(f"--pool is {pid}: there is no such process") from None
        except psutil.AccessDenied:
            raise Refused(f"--pool is {pid}: not your process; run as the pool's user") from None
        if title != TITLE + "supervisor":
            raise Refused(
                f"--pool is {pid}, which is {title or 'a process without a title'!r}: give the pid "
                f"of a {TITLE}supervisor (ps -ef | grep 'taskq_pool: supervisor')"
            )

    @property
    def pid(self) -> int:
        return self.supervisor.pid

    @property
    def alive(self) -> bool:
        try:
            return self.supervisor.is_running() and self.supervisor.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def victims(self) -> list[Victim]:
        """Its keeper and its workers, in the order of their names."""
        found = []
        try:
            children = self.supervisor.children()
        except psutil.NoSuchProcess:
            return []
        for process in children:
            try:
                title = _title(process)
                dead = process.status() == psutil.STATUS_ZOMBIE
            except psutil.NoSuchProcess:  # it died since it was listed
                continue
            name, _, doing = title.removeprefix(TITLE).partition(" [")
            role = name.partition(" ")[0]
            if title.startswith(TITLE) and role in ("keeper", "worker") and not dead:
                found.append(Victim(name.strip(), doing.strip().removesuffix("]"), process))
        return sorted(found, key=lambda each: (len(each.name), each.name))

    def again(self, victim: Victim) -> Victim:
        """The same process with its title of now."""
        doing = _title(victim.process).partition(" [")[2].strip().removesuffix("]")
        return Victim(victim.name, doing, victim.process)


def kill(victim: Victim) -> bool:
    """Send SIGKILL. False if the process was gone. psutil never hits another one with its pid."""
    try:
        victim.process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return False
    return True


def _title(process: psutil.Process) -> str:
    return " ".join(process.cmdline()).strip()
