"""What the tests of the statements share."""

from __future__ import annotations

import pytest
from django.db import connection

from tests.taskq.sql.plans import MANY


@pytest.fixture
def new_connection(transactional_db):
    connection.close()
    yield
    connection.close()


@pytest.fixture
def raw(transactional_db):
    """The driver's connection, with tables that are large enough to matter."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO taskq_task (name, queue, priority, execute_at, state, worker_id)
            SELECT 'x', 'q' || n % 3, 0, now() - interval '1 hour', 0, NULL::bigint
            FROM generate_series(1, %(many)s) n
            UNION ALL
            SELECT 'x', 'q0', 5, now() + interval '1 day', 0, NULL
            FROM generate_series(1, %(many)s)
            UNION ALL
            SELECT 'x', 'q0', 0, now(), 2, NULL FROM generate_series(1, %(many)s)
            UNION ALL
            SELECT 'x', 'q0', 0, now(), 1, 1 + n % 50 FROM generate_series(1, %(many)s) n
            """.replace("n % ", "n %% "),
            {"many": MANY},
        )
        cursor.execute(
            "INSERT INTO taskq_worker (id, pool, name, host, pid, lease_expires_at) "
            "SELECT n, 'p', 'w', 'h', n, now() + interval '1 hour' FROM generate_series(1, 50) n"
        )
        cursor.execute("VACUUM ANALYZE taskq_task, taskq_worker")
    return connection.connection
