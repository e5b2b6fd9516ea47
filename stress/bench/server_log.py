"""What statements the server ran, and how long each took, from its own log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from stress.rig.postgres import EmbeddedPostgres

#: Seconds since the epoch, process, database.
PREFIX = "%n %p %d "
_ENTRY = re.compile(
    r"^(?P<at>\d+\.\d+) (?P<pid>\d+) (?P<database>\S+) LOG:  "
    r"duration: (?P<ms>[\d.]+) ms  (?:statement|execute)[^:]*: (?P<text>.*(?:\n\t.*)*)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Statement:
    """One that ended at this time (seconds)."""

    at: float
    pid: int
    milliseconds: float
    text: str


class ServerLog:
    """Logs the statements of a database, from its next session on."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server

    def watch(self, url: str) -> int:
        """Begin; where the log is now, for :meth:`statements`."""
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET log_line_prefix = '{PREFIX}'")
            connection.execute("SELECT pg_reload_conf()")
        with psycopg.connect(url, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f'ALTER DATABASE "{name}" SET log_min_duration_statement = 0')
        return self.here()

    def here(self) -> int:
        """The end of the log."""
        return self._server.log_file.stat().st_size

    def statements(self, since: int, database: str) -> list[Statement]:
        """What this database ran since then."""
        with self._server.log_file.open(encoding="utf-8", errors="replace") as log:
            log.seek(since)
            return parse(log.read(), database)


def parse(text: str, database: str) -> list[Statement]:
    """The statements of a database in a piece of log."""
    return [
        Statement(float(each["at"]), int(each["pid"]), float(each["ms"]), each["text"].strip())
        for each in _ENTRY.finditer(text)
        if each["database"] == database
    ]


def transactions(statements: Iterable[Statement]) -> list[list[Statement]]:
    """Those that ran between a BEGIN and a COMMIT of one session, with these."""
    open_ones: dict[int, list[Statement]] = {}
    found = []
    for statement in statements:
        if statement.text.upper().startswith("BEGIN"):
            open_ones[statement.pid] = []
        if statement.pid in open_ones:
            open_ones[statement.pid].append(statement)
            if statement.text.upper().startswith("COMMIT"):
                found.append(open_ones.pop(statement.pid))
    return found
