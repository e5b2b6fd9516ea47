"""What an error of the database means: whether to try again, and what to call it.

A loop that repeats an error asks here first. What may go away by itself is tried again, for as
long as it takes: the lease of a process, or the time limit of a run, is what ends the waiting.
Anything else is an answer, and is final. It is believed once it has been given on a new
connection too, as the old one's session may be at fault.
"""

from __future__ import annotations

import enum
import re
import sqlite3
from collections.abc import Iterator

import django.db
import psycopg
from psycopg import errors

#: What a database raises, below Django's wrappers and in them.
DATABASE_ERRORS = (django.db.Error, psycopg.Error, sqlite3.Error)


class Meaning(enum.Enum):
    """What an error says of the database."""

    #: No statement gets through: the connection is lost or refused, the server starts, stops,
    #: is read-only or out of resources.
    AWAY = "away"
    #: As AWAY, but the server is there and lets nobody in: a wrong password, no such database.
    REJECTED = "rejected"
    #: As AWAY, but the database is well: another process has its one lock (SQLite).
    LOCKED = "locked"
    #: This statement met another's: a conflict, or a lock or the time ran out.
    BUSY = "busy"
    #: The tables of this version are not there: nobody has migrated yet.
    UNMIGRATED = "unmigrated"
    #: The database has understood, and refuses. The same again would end the same.
    ANSWER = "answer"


#: By the beginning of the SQLSTATE. 25P03 and 25P04 end a session that took too long.
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
#: By the primary code, which is the low byte.
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
#: What a server, or a pooler, says to a connection that it does not make. The driver gives no
#: SQLSTATE there.
_REJECTION = re.compile(r"failed: (FATAL: .*|.*no password supplied)")
#: But these come of its state, and not of what it was given.
_NOT_NOW = re.compile(
    "the database system is|too many|connection slots|no more connections|try again|timeout|"
    "shutting down|terminating|server"
)
_UNMIGRATED_SQLITE = ("no such table", "no such column", "has no column named")


def meaning(error: BaseException) -> Meaning:
    """What an error says of the database; ANSWER for one that did not come from there."""
    for each in _with_causes(error):
        match each:
            case psycopg.Error():
                return _of_psycopg(each)
            case sqlite3.Error():
                return _of_sqlite(each)
    # Django's own, which no driver stands behind.
    lost = isinstance(error, (django.db.OperationalError, django.db.InterfaceError))
    return Meaning.AWAY if lost else Meaning.ANSWER


def passes(error: BaseException) -> bool:
    """Whether it may go away by itself, so that the same is worth trying again."""
    return meaning(error) is not Meaning.ANSWER


def rejection(error: BaseException) -> str | None:
    """Why a server did not let us in, in its words; None for any other error."""
    for said in _REJECTION.findall(str(error)):
        if not _NOT_NOW.search(said):
            return str(said)
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what Django says it was made from. Nothing else is gone into: what a task
    raises from such an error is another matter."""
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
        # What a trigger does not find is no table of ours.
        within = means is Meaning.UNMIGRATED and error.diag.context
        return Meaning.ANSWER if within else means
    # Without a code it is the driver's own. A connection that cannot be made, or that breaks,
    # comes as one of these two classes.
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
