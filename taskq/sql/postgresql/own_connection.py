"""Connections to PostgreSQL of the queue's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import IsolationLevel
from psycopg.adapt import Dumper

from taskq.sql import Ids, Turn
from taskq.sql.postgresql.prepared import Prepared

CHANNEL = "taskq"

# By primary keys of the catalog; locks nothing.
_HOME = """
SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid = to_regclass('taskq_task')
"""


def connection_options(options: dict[str, Any], lease: float, name: str) -> dict[str, Any]:
    """The site's own options, without its connection pool, in the isolation that our statements
    are written for, and with limits on how long a dead network can hold us, well below the
    lease."""
    patience = max(1.0, lease / 4)
    defaults = {
        "application_name": name,
        "connect_timeout": max(2, int(patience)),
        "keepalives_idle": max(1, int(patience)),
        "keepalives_interval": max(1, int(patience / 3)),
        "keepalives_count": 3,
        "tcp_user_timeout": int(patience * 1000),
    }
    own = {key: value for key, value in options.items() if key != "pool"}
    return {**defaults, **own, "isolation_level": IsolationLevel.READ_COMMITTED}


def adapted(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as psycopg takes them: as they are."""
    return values


class _IdsDumper(Dumper):
    """All at once: psycopg's for lists looks at each, which takes seven times as long."""

    oid = psycopg.adapters.types["int8"].array_oid

    def dump(self, obj: Ids) -> bytes:
        return b"{%b}" % str(obj)[1:-1].encode()


class Connection(Prepared):
    """A connection of the queue's own. psycopg's lock lets two threads share it."""

    def __init__(
        self, wrapper: BaseDatabaseWrapper, *, direct: bool, turn: Turn | None = None
    ) -> None:
        # Nobody waits for a turn here: all may write at once.
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
                "SET plan_cache_mode = force_generic_plan; "
                "SET default_transaction_isolation = 'read committed'"
            )
            # The server's patience with us is ours with it: a host that vanishes, or is frozen,
            # in the middle of a transaction must not keep others from what that has locked.
            patience = int(wrapper.settings_dict["OPTIONS"]["tcp_user_timeout"])
            raw.execute(
                f"{settings}; SET tcp_user_timeout = {patience}; "
                f"SET idle_in_transaction_session_timeout = {patience}"
            )

        #: None before the tables are there: who finds none closes this, and connects anew.
        self.home: str | None = next((name for (name,) in self.rows(_HOME, {})), None)

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
