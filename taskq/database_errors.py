"""What an error of the database means: whether to try again, and how to report it.

A loop that repeats a failed statement asks here first. An error that may pass by itself is tried
again without a limit of its own: the process's lease or the run's time limit ends the waiting.
Any other error is an answer, and is final. But a broken session may have caused it, so it counts
only when a new connection gives it too.
"""

from __future__ import annotations

import enum
import re
import sqlite3
from collections.abc import Iterator

import django.db
import psycopg
from psycopg import errors

#: The errors of databases: the drivers' own, and Django's around them.
DATABASE_ERRORS = (django.db.Error, psycopg.Error, sqlite3.Error)


class Meaning(enum.Enum):
    """What an error says about the database."""

    #: No statement gets through: the connection is lost or refused, or the server starts, stops,
    #: is read-only or lacks resources.
    AWAY = "away"
    #: As AWAY, but the server runs and rejects the login: a wrong password, or no such database.
    REJECTED = "rejected"
    #: As AWAY, but the database works: another process holds SQLite's write lock.
    LOCKED = "locked"
    #: This statement met another one: a conflict, or it waited too long for a lock.
    BUSY = "busy"
    #: The tables of this version do not exist: nobody has migrated yet.
    UNMIGRATED = "unmigrated"
    #: The database has understood and refuses. The same statement would end the same.
    ANSWER = "answer"


#: By the first characters of the SQLSTATE. 25P03 and 25P04 end a session that took too long.
_BY_STATE = {
    "08": Meaning.AWAY,
    "53": Meaning.AWAY,
    "57P0": Meaning.AWAY,
    "25006": Meaning.AWAY,
    "25P03": Meaning.AWAY,
    "25P04": Meaning.AWAY,
    "40": Meaning.BUSY,
    "55P03": Meaning.BUSY,
    "57014": Meaning.BUSY,
    "42P01": Meaning.UNMIGRATED,
    "42703": Meaning.UNMIGRATED,
}
#: The site's limits for locks and for statements, or somebody who has cancelled the statement.
_TOO_LONG = ("55P03", "57014")
#: By the primary code, which is the lowest byte.
_BY_SQLITE_CODE = {
    sqlite3.SQLITE_BUSY: Meaning.LOCKED,
    sqlite3.SQLITE_LOCKED: Meaning.LOCKED,
    sqlite3.SQLITE_PROTOCOL: Meaning.LOCKED,
    sqlite3.SQLITE_NOMEM: Meaning.AWAY,
    sqlite3.SQLITE_READONLY: Meaning.AWAY,
    sqlite3.SQLITE_IOERR: Meaning.AWAY,
    sqlite3.SQLITE_FULL: Meaning.AWAY,
    sqlite3.SQLITE_CANTOPEN: Meaning.AWAY,
    sqlite3.SQLITE_INTERRUPT: Meaning.BUSY,
}
#: The text of a server or pooler that rejects a connection. The driver gives no SQLSTATE for it.
_REJECTION = re.compile(r"failed: (FATAL: .*|.*no password supplied)")
#: Exceptions: these texts come from the server's state, not from wrong credentials.
_NOT_NOW = re.compile(
    "the database system is|too many|connection slots|no more connections|try again|timeout|"
    "shutting down|terminating|server"
)
_UNMIGRATED_SQLITE = ("no such table", "no such column", "has no column named")


def meaning(error: BaseException) -> Meaning:
    """What an error says about the database. ANSWER for an error from elsewhere."""
    for each in _with_causes(error):
        match each:
            case psycopg.Error():
                return _of_psycopg(each)
            case sqlite3.Error():
                return _of_sqlite(each)
    # Django's own errors, without a driver's error behind them.
    lost = isinstance(error, (django.db.OperationalError, django.db.InterfaceError))
    return Meaning.AWAY if lost else Meaning.ANSWER


def passes(error: BaseException) -> bool:
    """Whether the error may pass by itself, so that it is worth trying again."""
    return meaning(error) is not Meaning.ANSWER


def waited_too_long(error: BaseException) -> bool:
    """Whether a statement was given up because it took too long, as behind a lock."""
    for each in _with_causes(error):
        if isinstance(each, psycopg.Error):
            return each.sqlstate in _TOO_LONG
    return meaning(error) is Meaning.LOCKED


def rejection(error: BaseException) -> str | None:
    """The server's words for rejecting a connection. None for any other error."""
    for said in _REJECTION.findall(str(error)):
        if not _NOT_NOW.search(said):
            return str(said)
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """A database error, and the driver's error from which Django made it. Other causes are not
    followed: a task may raise its own error from a database error."""
    seen: list[BaseException] = []
    while isinstance(error, DATABASE_ERRORS) and error not in seen:
        yield error
        seen.append(error)
        if not isinstance(error, django.db.Error) or error.__cause__ is None:
            return
        error = error.__cause__


def _of_psycopg(error: psycopg.Error) -> Meaning:
    state = error.sqlstate or error.diag.sqlstate
    if state:
        found = (_BY_STATE.get(state[:length]) for length in (2, 4, 5))
        means = next((each for each in found if each is not None), Meaning.ANSWER)
        # A missing table inside of a trigger is not one of taskq's.
        within = means is Meaning.UNMIGRATED and error.diag.context
        return Meaning.ANSWER if within else means
    # An error without a code is the driver's own. One of these two classes means that a connection
    # cannot be made, or broke.
    lost = isinstance(error, (errors.OperationalError, errors.InterfaceError))
    away = Meaning.AWAY if rejection(error) is None else Meaning.REJECTED
    return away if lost else Meaning.ANSWER


def _of_sqlite(error: sqlite3.Error) -> Meaning:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # the driver's own
        closed = isinstance(error, (sqlite3.OperationalError, sqlite3.InterfaceError))
        return Meaning.AWAY if closed or "closed database" in str(error) else Meaning.ANSWER
    if any(text in str(error) for text in _UNMIGRATED_SQLITE):
        return Meaning.UNMIGRATED
    return _BY_SQLITE_CODE.get(code & 0xFF, Meaning.ANSWER)
