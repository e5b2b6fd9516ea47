"""Keeps what a task does to its database sessions from the next task in the same worker.

A task may set a ``search_path``, a role or a variable. It may lock something for the session, or
choose the tenant of a backend that is not Django's own. On PostgreSQL, a session that a task has
used is reset. All other sessions are closed, which ends whatever was set there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import django.db
import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.signals import connection_created

from pool.leftovers import Trait
from taskq.sql.django_cursor import is_djangos
from taskq.sql.postgresql.session import Session

#: The backends of this process that are not Django's own, with their attributes at the start. They
#: are noted because a backend can change without a connection.
foreign: dict[Any, dict[str, Any]] = {}
#: The execute wrappers of a connection, as they were when it was made.
_wrappers: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()
_begun = False


def begin() -> None:
    """Note what must be restored after each task. Called before a process's first task."""
    global _begun
    _begun = True
    for alias in connections:
        with suppress(ImproperlyConfigured, ImportError):  # no driver, so no task can use it
            connection: Any = connections[alias]
            if not is_djangos(connection):
                foreign[connection] = _copied(vars(connection))
    # Connected last, so that the site's own receivers have run before it.
    connection_created.connect(_note, dispatch_uid="taskq.connections.sessions")


def database_settings() -> Trait:
    """The current database settings. A task may have pointed one of them to another database."""
    began = copy.deepcopy(connections.settings)

    def are_as_they_began() -> bool:
        return all(connections.settings.get(alias) == each for alias, each in began.items())

    def put_back(was: bool) -> None:
        for alias, each in began.items():
            if connections.settings.get(alias) != each:
                connection = connections[alias]
                connections.settings[alias] = connection.settings_dict
                connection.settings_dict.clear()
                connection.settings_dict.update(copy.deepcopy(each))
                connection.close()

    return Trait("settings of the databases", are_as_they_began, put_back)


def restore(those: Iterable[Any]) -> None:
    """After a task: bring the sessions of these connections back to their start, or close them.

    those: all connections of this thread.
    """
    if not _begun:
        return
    for connection in those:
        own = is_djangos(connection)
        if connection.connection is not None and not (own and _is_restored(connection)):
            if connection.vendor == "postgresql":
                connection.connection.close()  # else the driver's connection pool would keep it
            connection.close()
        if own:
            connection.execute_wrappers[:] = _wrappers.get(connection, connection.execute_wrappers)
            continue
        if connection in foreign:
            _restore_attributes(connection, foreign[connection])
        else:  # another thread's: it gets another
            del connections[connection.alias]


def _is_restored(connection: Any) -> bool:
    session = Session.of(connection.connection) if connection.vendor == "postgresql" else None
    if session is None:
        return False
    try:
        return session.restore()
    except psycopg.Error:
        return False


def _restore_attributes(connection: Any, began: dict[str, Any]) -> None:
    tenant = began.get("tenant")
    if tenant is not None and connection.tenant is not tenant:
        # By the connection's own method, because django-tenants resets more than the schema.
        connection.set_tenant(tenant)
    for name in vars(connection).keys() - began.keys():
        delattr(connection, name)
    vars(connection).update(_copied(began))


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.copy() if isinstance(value, (dict, list, set)) else value
        for name, value in attributes.items()
    }


def _note(connection: Any, **kwargs: object) -> None:
    """Note a new connection. A session of which nothing is noted is closed after the task."""
    if not is_djangos(connection):
        return
    _wrappers[connection] = list(connection.execute_wrappers)
    if connection.vendor == "postgresql" and connection.autocommit:
        with suppress(django.db.Error, psycopg.Error):
            Session(connection.connection)
