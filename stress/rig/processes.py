"""Processes by their pid: children, sessions, titles and signals."""

from __future__ import annotations

import os
from contextlib import suppress

import psutil

from stress.rig.pools import TITLE

ROLES = ("supervisor", "keeper", "worker", "metrics")


def children(parent: int) -> list[int]:
    """The children of a process, with those that have ended and are not reaped yet."""
    try:
        return [child.pid for child in psutil.Process(parent).children()]
    except psutil.NoSuchProcess:
        return []


def of_session(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError):  # it ended since it was listed
            if os.getsid(pid) == session and is_alive(pid):
                found.append(pid)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    return _status(pid) not in ("", psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by SIGSTOP."""
    return _status(pid) == psutil.STATUS_STOPPED


def title(pid: int) -> str:
    """The title that ps shows; empty for a process that has ended."""
    try:
        return " ".join(psutil.Process(pid).cmdline()).strip()
    except psutil.NoSuchProcess:
        return ""


def role(pid: int) -> str:
    """Its role in a pool: supervisor, keeper, worker or metrics; empty for any other process."""
    word = title(pid).removeprefix(TITLE).split(" ")[0]
    return word if word in ROLES else ""


def send(pid: int, signal: int) -> bool:
    """Send a signal; False when there is no such process."""
    try:
        os.kill(pid, signal)
    except ProcessLookupError:
        return False
    return True


def _status(pid: int) -> str:
    """The status by psutil's names; empty when there is no such process."""
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return ""
