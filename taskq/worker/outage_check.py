"""Whether an outage of a database has interrupted a run, and which.

Such a run is started again, like one whose worker was killed.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Iterator

import django.db
import psycopg
from django.db import connections

from taskq.connections.read_only import only_reads
from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning

#: Packages whose own code raises such an error. An error that the task's code makes does not count.
_DRIVERS = ("django", "psycopg", "psycopg_c", "psycopg_binary", "psycopg_pool", "taskq")
#: How the SQLSTATE begins when a session has ended, or could not begin.
_ENDED = ("08", "57P0", "25P03", "25P04")
#: The SQLSTATE of a write that a transaction may not do.
_READ_ONLY = "25006"


class Outage(enum.Enum):
    """What has ended a run, in words for its error."""

    BROKEN = "a connection to the database broke"
    READ_ONLY = "the database took no writes"


def outage_of(error: BaseException) -> Outage | None:
    """The outage for which a run raised this: a connection broke or could not be made, or the
    database takes no writes. None for any other reason.

    Looks at the error and at those that it was raised from. Ask before anything tidies up the
    task's connections.
    """
    return next((found for each in _chain(error) if (found := _outage_of(each))), None)


def _outage_of(error: BaseException) -> Outage | None:
    if not issubclass(type(error), DATABASE_ERRORS):
        return None
    if meaning(error) not in (Meaning.AWAY, Meaning.REJECTED):
        return None
    inner = _innermost(error)
    if issubclass(type(inner), sqlite3.Error) or not _made_by_a_driver(inner):
        return None  # SQLite has no server
    if issubclass(type(inner), psycopg.Error):
        state = inner.sqlstate or inner.diag.sqlstate  # type: ignore[attr-defined]
        if state == _READ_ONLY:
            return Outage.READ_ONLY if _some_connection_only_reads() else None
        if state and not state.startswith(_ENDED):
            return None
        if not state and issubclass(type(error), psycopg.InterfaceError):
            return None  # mostly a closed cursor
    return Outage.BROKEN if inner is error or _some_connection_is_broken() else None


def _some_connection_only_reads() -> bool:
    """Else the task itself has begun a transaction that only reads."""
    return any(only_reads(wrapper) for wrapper in connections.all(initialized_only=True))


def _some_connection_is_broken() -> bool:
    """Whether one of Django's connections in this thread is broken, or could not be made."""
    return any(
        wrapper.connection is None or getattr(wrapper.connection, "closed", False)
        for wrapper in connections.all(initialized_only=True)
    )


def _made_by_a_driver(error: BaseException) -> bool:
    """Whether the code of a driver raised it, and not the task's."""
    traceback = error.__traceback__
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = str(traceback.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in _DRIVERS


def _innermost(error: BaseException) -> BaseException:
    """The driver's error that Django has wrapped."""
    cause = error.__cause__ if issubclass(type(error), django.db.Error) else None
    return cause if cause is not None and issubclass(type(cause), DATABASE_ERRORS) else error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and the errors that it was raised from or during."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        beside = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ if following.__cause__ is not None else beside
