"""A history outside the database, which survives any kill.

One JSON object a line, appended by one write each, so that lines of many
processes never mix and a killed process leaves whole lines only. Times are
nanoseconds of the boot-time monotonic clock, the same in all processes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pool import clock


class History:
    """Appends records to a file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def record(self, kind: str, **fields: Any) -> None:
        """Append one record: its kind, the time, this process and some fields."""
        line = {"kind": kind, "at": clock.now(), "pid": os.getpid(), **fields}
        os.write(self._file, (json.dumps(line) + "\n").encode())


class Tail:
    """Reads a history while it grows."""

    def __init__(self, path: str | Path) -> None:
        self._lines = open(path, encoding="utf-8")  # noqa: SIM115  open for as long as we live

    def read(self) -> Iterator[dict[str, Any]]:
        """The records since the last call, in the order they were written."""
        while True:
            start = self._lines.tell()
            line = self._lines.readline()
            if not line.endswith("\n"):
                self._lines.seek(start)
                return
            yield json.loads(line)


def read(path: str | Path) -> list[dict[str, Any]]:
    """All records of a history so far."""
    return list(Tail(path).read())
