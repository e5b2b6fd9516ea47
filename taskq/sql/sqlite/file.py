"""The file of an SQLite database. It may be removed or replaced while processes have it open.

They would go on with the old file for ever, which has no name any more and which nobody else sees.
"""

from __future__ import annotations

import os
import sqlite3

from pool import clock

#: Seconds between two looks at a file that is open. A look is one system call.
LOOK = 0.5


def require(name: str | os.PathLike[str]) -> None:
    """Raise sqlite3.OperationalError if there is no file of this name, which DATABASES has: the
    error of a missing table, as an empty file would give it.

    To connect would make that file, into which somebody may be about to copy a backup. Without its
    folder it cannot be made.
    """
    path = os.fspath(name)
    no_file = path == ":memory:" or path.startswith("file:")
    if not no_file and not os.path.exists(path) and os.path.isdir(os.path.dirname(path) or "."):
        error = sqlite3.OperationalError(f"no such table, as there is no file {path}")
        error.sqlite_errorcode = sqlite3.SQLITE_ERROR
        raise error


class OpenFile:
    """The file that a connection has open. path: of the file; empty for a database in memory."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._is = _identity(path)
        self._due = 0

    def check(self) -> None:
        """Raise sqlite3.OperationalError if another file has the name by now, or none. Looks only
        now and then."""
        if (now := clock.now()) < self._due:
            return
        self._due = now + clock.nanoseconds(LOOK)
        if _identity(self._path) != self._is:
            raise sqlite3.OperationalError(f"the file {self._path} was removed or replaced")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
