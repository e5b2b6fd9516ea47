"""Processes as Linux shows them in /proc: who is whose child, who is stopped."""

from __future__ import annotations

import os
from pathlib import Path

from stress.rig.pools import TITLE

ROLES = ("supervisor", "keeper", "worker")


def children() -> dict[int, list[int]]:
    """Of every process that has some: one look at all of /proc."""
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (fields := _stat(int(name))):
            found.setdefault(int(fields[1]), []).append(int(name))
    return found


def of_session(session: int) -> list[int]:
    """Those of a session that live."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal() and (fields := _stat(int(name))):
            state, in_session = fields[0], int(fields[3])
            if in_session == session and state not in "ZX":
                found.append(int(name))
    return found


def state(pid: int) -> str:
    """R, S, D, T, Z … as ps has it; empty when there is no such process."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def title(pid: int) -> str:
    """What ps shows; empty for a process that is gone or dead."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def role(pid: int) -> str:
    """Its role in a pool: supervisor, keeper or worker; empty for any other process."""
    word = title(pid).removeprefix(TITLE).split(" ")[0]
    return word if word in ROLES else ""


def send(pid: int, signal: int) -> bool:
    """Send a signal; whether there was anyone to get it."""
    try:
        os.kill(pid, signal)
    except ProcessLookupError:
        return False
    return True


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on: state, parent, group, session …"""
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return raw.rpartition(b") ")[2].decode().split()
