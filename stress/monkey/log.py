"""The events of a pool, from its log, if that is a file that this process can read."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import psutil

#: The descriptor of standard error.
STDERR = 2

#: Words of a log line (taskq.events, pool.supervisor) -> the event of the line.
_PHRASES = {
    " lost its worker, ": "task.lost",
    " waiting tasks reclaimed from ": "tasks.returned",
    " ran out: ": "lease.reclaimed",
    " is no longer held by this worker: ": "task.fenced",
    "leases were renewed ": "lease.late",
    ") died: ": "child.died",
    ": the database does not answer: ": "database.lost",
}


def find(pid: int) -> Path | None:
    """The file of a process's standard error, if this process can read it."""
    try:
        files = psutil.Process(pid).open_files()
    except psutil.Error:  # it has ended, or belongs to another user
        return None
    paths = (Path(file.path) for file in files if file.fd == STDERR)
    return next((path for path in paths if os.access(path, os.R_OK)), None)


class EventLog:
    """Counts the events that are logged after it was made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = path.stat().st_size

    def counts(self) -> dict[str, int]:
        """Event -> how often it was logged since then."""
        with self.path.open(encoding="utf-8", errors="replace") as lines:
            lines.seek(self._start)
            return dict(
                Counter(
                    event for line in lines for words, event in _PHRASES.items() if words in line
                )
            )
