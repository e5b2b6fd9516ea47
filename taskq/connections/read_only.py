"""Whether a session can only read, because its server is a standby or takes no writes for now.

A server that is full may be switched so, and a failover leaves sessions on what is a standby now.
The session stays what it is when others can write again.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

#: The server reports these to each session, whenever they change.
_REPORTED = ("default_transaction_read_only", "in_hot_standby")


def only_reads(connection: BaseDatabaseWrapper) -> bool:
    """Whether new transactions of an open connection cannot write. Asks the server nothing."""
    if connection.vendor != "postgresql" or connection.connection is None:
        return False
    reported = connection.connection.info.parameter_status
    return any(reported(name) == "on" for name in _REPORTED)


def close_for_good(connection: BaseDatabaseWrapper) -> None:
    """Close an open connection to PostgreSQL. The driver's pool, if there is one, does not keep
    it."""
    connection.connection.close()
    connection.close()
