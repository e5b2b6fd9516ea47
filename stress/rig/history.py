"""A history of a run in a file, which no kill can damage.

Each line is one JSON object and is appended by one write. So the lines of many processes
never mix, and a killed process leaves whole lines only. Times are nanoseconds since the
machine booted, by a clock that is the same in all processes.
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
        """Append one record: its kind, the time, the pid of this process and these fields."""
        line = {"kind": kind, "at": clock.now(), "pid": os.getpid(), **fields}
        os.write(self._file, (json.dumps(line) + "\n").encode())


class Tail:
    """Reads a history while it grows."""

    def __init__(self, path: str | Path) -> None:
        self._lines = open(path, encoding="utf-8")  # noqa: SIM115  open for as long as this object lives

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
