"""Sessions whose transactions end when a test says so."""

from __future__ import annotations

import psycopg
from django.db import connection


def open_session():
    """A session of the driver's own, on the database of the test. It is a context manager."""
    parameters = connection.get_connection_params()
    for name in ("context", "cursor_factory", "prepare_threshold"):
        parameters.pop(name, None)
    return psycopg.connect(**parameters)
