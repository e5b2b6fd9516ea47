"""The queue's own connections to PostgreSQL."""

from __future__ import annotations

import select
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import IsolationLevel
from psycopg.adapt import Dumper

from taskq.sql import Ids, Turn
from taskq.sql.postgresql.prepared import Prepared, generators

if TYPE_CHECKING or generators is not None:
    Statements = Prepared
else:
    from taskq.sql.postgresql.by_cursor import ByCursor as Statements

CHANNEL = "taskq"

# Uses primary keys of the catalog. Locks nothing.
_HOME = """
SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid = to_regclass('taskq_task')
"""


def connection_options(settings: dict[str, Any], lease: float, name: str) -> dict[str, Any]:
    """The site's own options, changed in four ways: without its connection pool, in the isolation
    level that taskq's statements need, in the one encoding that has every text, and with limits on
    how long a dead network can block. The limits are well below the lease."""
    patience = max(1.0, lease / 4)
    defaults = {
        "application_name": name,
        "connect_timeout": max(2, int(patience)),
        "keepalives_idle": max(1, int(patience)),
        "keepalives_interval": max(1, int(patience / 3)),
        "keepalives_count": 3,
        "tcp_user_timeout": int(patience * 1000),
    }
    own = {key: value for key, value in settings.get("OPTIONS", {}).items() if key != "pool"}
    needed = {"isolation_level": IsolationLevel.READ_COMMITTED, "client_encoding": "UTF8"}
    return {**defaults, **own, **needed}


def adapted(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as psycopg takes them: unchanged."""
    return values


def _settings(version: int, patience: int, lock_wait: float | None) -> dict[str, object]:
    """What taskq's own sessions need, whatever the site has set for its role or its database.

    version: of the server. patience: milliseconds that we wait for the server.
    lock_wait: see :func:`taskq.store.connecting.connect`.
    """
    return {
        # Each of our statements has an index that is right whatever the tables' sizes. So none
        # needs a plan of its own for each set of values: making one takes longer than running it.
        # Statistics do not help: those of a queue are old at once, and a plan made while it was
        # empty reads all of it when it is full. Such a plan does not know a claim's limit either,
        # so it would hash all tasks instead of looking up the found ones.
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "plan_cache_mode": "force_generic_plan",
        # A plan that reads a small table whole seems dear by that. The server would compile it
        # each time, which takes a thousand times as long as running it.
        "jit": "off",
        "default_transaction_isolation": "'read committed'",
        # The server waits for us as long as we wait for it. A host that vanishes or freezes in a
        # transaction must not keep others from the rows that it has locked.
        "tcp_user_timeout": patience,
        "idle_in_transaction_session_timeout": patience,
        # A site's limits are for its own statements, and for sessions that somebody has forgotten.
        # They would end a claim on a slow day, and each worker that sleeps.
        "statement_timeout": 0,
        "lock_timeout": 0 if lock_wait is None else max(1, int(lock_wait * 1000)),
        "idle_session_timeout": 0,
        **({"transaction_timeout": 0} if version >= 170000 else {}),
    }


class _IdsDumper(Dumper):
    """Dumps all ids at once. psycopg's own for lists looks at each, which takes 7 times as long."""

    oid = psycopg.adapters.types["int8"].array_oid

    def dump(self, obj: Ids) -> bytes:
        return b"{%b}" % str(obj)[1:-1].encode()


class Connection(Statements):
    """A connection of the queue's own. psycopg's lock lets two threads share it."""

    def __init__(
        self,
        wrapper: BaseDatabaseWrapper,
        *,
        direct: bool,
        turn: Turn | None = None,
        lock_wait: float | None = None,
    ) -> None:
        # ``turn`` is not used: on PostgreSQL, all processes can write at once.
        raw: psycopg.Connection[Any] = wrapper.connection
        raw.autocommit = True
        # Otherwise the driver would drop our prepared statements after a rollback.
        raw.prepare_threshold = None
        raw.adapters.register_dumper(Ids, _IdsDumper)  # before anything looks it up
        super().__init__(raw, keep=direct)
        self._wrapper = wrapper
        self._heard: Counter[str] = Counter()
        # Wake-ups that come with a statement's answer. woken() reads all others.
        raw.add_notify_handler(lambda notify: self._heard.update([notify.payload]))
        if direct:
            patience = int(wrapper.settings_dict["OPTIONS"]["tcp_user_timeout"])
            settings = _settings(raw.info.server_version, patience, lock_wait)
            raw.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
        #: None before the tables exist. The caller then closes this and connects again.
        self.home: str | None = next((name for (name,) in self.rows(_HOME, {})), None)

    def transaction(self) -> AbstractContextManager[object]:
        return self._connection.transaction()

    def has_answered(self) -> bool:
        # The server sends what a pipeline returns all at once, after its commit.
        return bool(select.select([self._connection.fileno()], [], [], 0)[0])

    def listen(self) -> None:
        psycopg.Cursor(self._connection).execute(f"LISTEN {CHANNEL}")

    def fileno(self) -> int | None:
        return self._connection.fileno()

    def woken(self) -> Counter[str]:
        # By libpq itself: the driver's generator takes as long as waking a worker.
        self._connection.pgconn.consume_input()
        while notify := self._connection.pgconn.notifies():
            self._heard[notify.extra.decode()] += 1
        heard, self._heard = self._heard, Counter()
        return heard

    def close(self) -> None:
        self._wrapper.close()
