"""Connections to PostgreSQL: the queue's own, and how statements of ours run on Django's."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import FunctionType, MethodType
from typing import Any

import django
import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper
from psycopg.adapt import Dumper
from psycopg.pq import PipelineStatus, TransactionStatus

from taskq.sql import Ids
from taskq.sql.postgresql_prepared import Prepared

CHANNEL = "taskq"


def connection_options(options: dict[str, Any], lease: float, name: str) -> dict[str, Any]:
    """The site's own options, without its connection pool, and with limits on how long
    a dead network can hold us: well below the lease."""
    patience = max(1.0, lease / 4)
    defaults = {
        "application_name": name,
        "connect_timeout": max(2, int(patience)),
        "keepalives_idle": max(1, int(patience)),
        "keepalives_interval": max(1, int(patience / 3)),
        "keepalives_count": 3,
        "tcp_user_timeout": int(patience * 1000),
    }
    return {**defaults, **{key: value for key, value in options.items() if key != "pool"}}


def adapted(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as psycopg takes them: as they are."""
    return values


def rows_within(
    connection: BaseDatabaseWrapper, statement: str, values: Mapping[str, Any], *, direct: bool
) -> list[tuple[Any, ...]]:
    """Run a statement of ours in the transaction that is open on a connection of Django's.

    It is guarded as all is there, and seen by who counts, logs or traces. Where nobody does,
    Django's cursor and the driver's are left out, which take longer than all the rest.

    direct: see :func:`taskq.leases.connect`. Then the server keeps our statements parsed
        and planned, which takes as long as running them does.
    """
    if not _ready(connection) or _begins_otherwise(connection.connection):
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())
    prepared = Prepared.of(connection.connection, keep=direct)
    with connection.wrap_database_errors:
        if _begins(connection.connection):  # the driver would take a round trip for that
            return prepared.batch(("BEGIN", {}), (statement, values))[-1]
        return prepared.rows(statement, values)


def end_within(
    connection: BaseDatabaseWrapper, statement: str, values: Mapping[str, Any], *, direct: bool
) -> bool:
    """Run the last statement of an atomic block of Django's; whether it touched a row. If not,
    the block must be rolled back.

    Where that is possible the transaction is committed in the same round trip, and Django,
    at the end of the block, finds that there is nothing left to commit.

    statement: one that can be a CTE, and returns what it touches.
    """
    outermost = len(connection.atomic_blocks) == 1 and connection.commit_on_exit
    if not direct or not outermost or not _ready(connection):
        return len(rows_within(connection, statement, values, direct=direct)) == 1
    prepared = Prepared.of(connection.connection, keep=True)
    with connection.wrap_database_errors:
        if _begins(connection.connection):  # nothing else was done in the block
            return len(prepared.rows(statement, values)) == 1
        return prepared.commit_with(statement, values)


def _ready(connection: BaseDatabaseWrapper) -> bool:
    """Whether a connection of Django's has nobody who watches what runs on it, and is fit to
    run something; raises what its own cursor would."""
    if not _is_djangos(connection.cursor):
        return False
    # As connection.cursor() and its execute() do.
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_thread_sharing()
    connection.validate_no_broken_transaction()
    watchers = connection.queries_logged or connection.execute_wrappers
    return not watchers and _is_djangos(CursorWrapper.execute) and _is_plain(connection.connection)


def _is_plain(raw: Any) -> bool:
    """Whether nobody but Django has a hand in the driver's connection: no tool, no pipeline,
    no preparing by the driver, which then drops what we have prepared as well."""
    return (
        type(raw) is psycopg.Connection
        and raw.cursor_factory in _DJANGOS_CURSORS
        and raw.prepare_threshold is None
        and raw.pgconn.pipeline_status == PipelineStatus.OFF
    )


def _begins(raw: Any) -> bool:
    """Whether the next statement begins a transaction."""
    return not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE


def _begins_otherwise(raw: Any) -> bool:
    """Whether it does, and by another BEGIN than a plain one."""
    plain = (None, None, None)
    return _begins(raw) and (raw.isolation_level, raw.read_only, raw.deferrable) != plain


def _is_djangos(function: Any) -> bool:
    """Whether no tool has put its own in this one's place: those pretend to be what they wrap."""
    plain = type(function) in (FunctionType, MethodType)
    return plain and function.__code__.co_filename.startswith(_DJANGO)


_DJANGO = os.path.dirname(django.__file__) + os.sep
_DJANGOS_CURSORS: tuple[type, ...] = (base.Cursor, base.ServerBindingCursor)


class _IdsDumper(Dumper):
    """All at once: psycopg's for lists looks at each, which takes seven times as long."""

    oid = psycopg.adapters.types["int8"].array_oid

    def dump(self, obj: Ids) -> bytes:
        return b"{%b}" % str(obj)[1:-1].encode()


class Connection(Prepared):
    """A connection of the queue's own. psycopg's lock lets two threads share it."""

    def __init__(self, wrapper: BaseDatabaseWrapper, *, direct: bool) -> None:
        raw: psycopg.Connection[Any] = wrapper.connection
        raw.autocommit = True
        # Or the driver would drop, after a rollback, what we have prepared.
        raw.prepare_threshold = None
        raw.adapters.register_dumper(Ids, _IdsDumper)  # before anything looks it up
        super().__init__(raw, keep=direct)
        self._wrapper = wrapper
        self._heard: Counter[str] = Counter()
        # Wake-ups that come with the answer to a statement; the others, woken() reads.
        raw.add_notify_handler(lambda notify: self._heard.update([notify.payload]))
        if direct:
            # Statistics of a queue are out of date the moment they are taken, and a plan
            # made while it was empty reads all of it when it is full. Each of our
            # statements has an index that is right whatever the sizes, and so needs no
            # plan of its own for each set of values: to make one takes longer than to run it.
            # Not knowing the limit of a claim, such a plan would rather hash all tasks than
            # look up each that was found.
            settings = (
                "SET enable_seqscan = off; SET enable_bitmapscan = off; "
                "SET enable_hashjoin = off; SET enable_mergejoin = off; "
                "SET plan_cache_mode = force_generic_plan"
            )
            # The server's patience with us is ours with it: a host that vanishes, or is frozen,
            # in the middle of a transaction must not keep others from what that has locked.
            patience = int(wrapper.settings_dict["OPTIONS"]["tcp_user_timeout"])
            raw.execute(
                f"{settings}; SET tcp_user_timeout = {patience}; "
                f"SET idle_in_transaction_session_timeout = {patience}"
            )

    def transaction(self) -> AbstractContextManager[object]:
        return self._connection.transaction()

    def listen(self) -> None:
        psycopg.Cursor(self._connection).execute(f"LISTEN {CHANNEL}")

    def fileno(self) -> int | None:
        return self._connection.fileno()

    def woken(self) -> Counter[str]:
        # By libpq itself: the driver's generator takes as long as the way to a worker.
        self._connection.pgconn.consume_input()
        while notify := self._connection.pgconn.notifies():
            self._heard[notify.extra.decode()] += 1
        heard, self._heard = self._heard, Counter()
        return heard

    def close(self) -> None:
        self._wrapper.close()
