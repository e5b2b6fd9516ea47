"""The queue's own sessions, on a database whose settings are for the statements of others."""

from __future__ import annotations

import contextlib

import pytest
from django.db import connection

from stress.rig.pools import wait_until
from tests.project.lab import tasks

pytestmark = pytest.mark.postgresql

#: What a site may set for its database or for a role, and what our sessions have in its place.
SETTINGS = {
    "statement_timeout": ("20ms", "0"),
    "lock_timeout": ("1ms", "0"),
    "idle_session_timeout": ("300ms", "0"),
    "transaction_timeout": ("300ms", "0"),
    "jit": ("on", "off"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "client_encoding": ("LATIN1", "UTF8"),
}


@contextlib.contextmanager
def settings_of_the_site(*names):
    """The database has these settings for new sessions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_settings WHERE name = ANY (%s)", [list(names)])
        there = [name for (name,) in cursor.fetchall()]  # transaction_timeout is new in 17
        database = connection.ops.quote_name(connection.settings_dict["NAME"])
        for name in there:
            cursor.execute(f"ALTER DATABASE {database} SET {name} = '{SETTINGS[name][0]}'")
        try:
            yield there
        finally:
            cursor.execute(f"ALTER DATABASE {database} RESET ALL")


def test_no_setting_of_the_site_is_in_force_in_them(connect):
    with settings_of_the_site(*SETTINGS) as names:
        session = connect().connection
        found = {name: session.rows(f"SHOW {name}", {}) for name in names}
    assert found == {name: [(SETTINGS[name][1],)] for name in names}


def test_a_pool_sleeps_longer_than_sessions_may_be_idle(start_pool, runs):
    limits = [name for name in SETTINGS if name.endswith("timeout")]
    with settings_of_the_site(*limits):
        pool = start_pool("-c", 2)
        for key in range(4):
            tasks.nap.delay(key, 1.0)  # longer than any of the limits
            wait_until(lambda key=key: runs("end", key))
            wait_until(lambda: all("idle" in said for _, said in pool.titles("worker").values()))
        assert pool.stop() == 0
    assert len(runs("start")) == 4
    assert "cannot" not in pool.log()
    assert "does not answer" not in pool.log()
