"""A copy of a database that takes its place, as when a lagging standby is promoted."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Snapshot:
    """A copy of a database with its sequences. All its sessions are ended to make it.

    url: of the database, on a server where this user may make databases.
    """

    def __init__(self, url: str) -> None:
        self._server = make_conninfo(url, dbname="postgres")
        self._name = str(conninfo_to_dict(url)["dbname"])
        self._copy = f"{self._name}_before"
        self._alone(f'CREATE DATABASE "{self._copy}" TEMPLATE "{self._name}"')

    def restore(self) -> None:
        """Put the copy in place of the database. All later commits are lost."""
        self._alone(
            f'DROP DATABASE "{self._name}"',
            f'ALTER DATABASE "{self._copy}" RENAME TO "{self._name}"',
        )

    def _alone(self, *statements: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as session:
            self._let_in(session, False)
            session.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [self._name],
            )
            for statement in statements:
                session.execute(statement.encode())
            self._let_in(session, True)

    def _let_in(self, session: psycopg.Connection, whether: bool) -> None:
        text = f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS {str(whether).lower()}'
        session.execute(text.encode())
