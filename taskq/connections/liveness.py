"""Whether open connections to the database still work, without a round trip to it."""

from __future__ import annotations

import logging
import select
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from pool import clock
from taskq.connections.read_only import close_for_good, only_reads

log = logging.getLogger("taskq")

#: Seconds without a run after which open connections are replaced. Firewalls forget a silent
#: connection after minutes and tell neither side.
FORGOTTEN = 60.0
#: Seconds for which a look is enough for the quick runs that follow, because it takes system calls.
#: A session that ends in between interrupts one run, which is then repeated.
GOOD_FOR = 0.050
#: Seconds between two replacements of a session that only reads. The site may mean it so, as where
#: it asks a standby. Then another one is like it.
READ_ONLY_AGAIN = 1.0


class Liveness:
    """Checks the Django connections of one thread before each run."""

    def __init__(self) -> None:
        #: By alias: the connection, and a poll that asks the kernel what its socket has received.
        self._polls: dict[str, tuple[Any, select.poll]] = {}
        self._looked = clock.now()
        #: By alias: when a session was replaced that only reads.
        self._replaced: dict[str, int] = {}

    def check(self, opened: list[BaseDatabaseWrapper], *, again: bool = False) -> None:
        """Close connections that have ended. Django opens a new one when it is needed.

        again: the kernel's answer from a moment ago is good enough.
        """
        now = clock.now()
        since = now - self._looked
        fresh = again and since < clock.nanoseconds(GOOD_FOR)
        if not fresh:
            self._looked = now
        forgotten = since > clock.nanoseconds(FORGOTTEN)
        for connection in opened:
            raw = connection.connection
            if raw is None or connection.vendor != "postgresql":
                continue
            if forgotten:
                connection.close()
            elif raw.closed or not (fresh or self._is_alive(connection.alias, raw)):
                log.info("the connection to %r has ended: replaced", connection.alias)
                connection.close()
            elif not fresh and only_reads(connection):
                self._replace_now_and_then(connection, now)

    def _replace_now_and_then(self, connection: BaseDatabaseWrapper, now: int) -> None:
        """Close a session that only reads, now and then. A new one may write: the server does so
        again, or it is another one."""
        alias = connection.alias
        if now - self._replaced.get(alias, 0) > clock.nanoseconds(READ_ONLY_AGAIN):
            self._replaced[alias] = now
            log.debug("the connection to %r only reads: replaced", alias)
            close_for_good(connection)

    def _is_alive(self, alias: str, raw: Any) -> bool:
        return not self._poll(alias, raw).poll(0) or not _has_ended(raw)

    def _poll(self, alias: str, raw: Any) -> select.poll:
        known, poll = self._polls.get(alias, (None, None))
        if known is not raw or poll is None:
            poll = select.poll()
            poll.register(raw.pgconn.socket, select.POLLIN)
            self._polls[alias] = raw, poll
        return poll


def _has_ended(raw: psycopg.Connection[Any]) -> bool:
    """Whether the server has ended the session. What has come unasked may be a notice too."""
    poll = select.poll()
    poll.register(raw.pgconn.socket, select.POLLIN)
    try:
        # The server's last messages come before the end itself.
        while poll.poll(0):
            raw.pgconn.consume_input()
    except psycopg.Error:
        return True
    return False
