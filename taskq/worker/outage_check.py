"""Whether an outage of a database has interrupted a run.

Such a run is started again, like one whose worker was killed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import django.db
import psycopg
from django.db import connections

from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning

#: Packages whose own code raises such an error. An error that the task's code makes does not count.
_DRIVERS = ("django", "psycopg", "psycopg_c", "psycopg_binary", "psycopg_pool", "taskq")
#: How the SQLSTATE begins when a session has ended, or could not begin.
_ENDED = ("08", "57P0", "25P03", "25P04")


def was_interrupted(error: BaseException) -> bool:
    """Whether a run raised this because a connection broke or could not be made.

    Looks at the error and at those that it was raised from. Ask before anything tidies up the
    task's connections.
    """
    return any(_of_a_broken_connection(each) for each in _chain(error))


def _of_a_broken_connection(error: BaseException) -> bool:
    if not issubclass(type(error), DATABASE_ERRORS):
        return False
    if meaning(error) not in (Meaning.AWAY, Meaning.REJECTED):
        return False
    inner = _innermost(error)
    if issubclass(type(inner), sqlite3.Error):
        return False  # there is no server
    if issubclass(type(inner), psycopg.Error):
        state = inner.sqlstate or inner.diag.sqlstate  # type: ignore[attr-defined]
        if state and not state.startswith(_ENDED):
            return False
        if not state and issubclass(type(error), psycopg.InterfaceError):
            return False  # mostly a closed cursor
    return _made_by_a_driver(inner) and (inner is error or _some_connection_is_broken())


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
