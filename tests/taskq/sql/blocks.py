"""Atomic blocks as a worker begins them."""

from __future__ import annotations

from contextlib import contextmanager

from django.db import connection, connections, transaction

from taskq import sql

NUMBERS = "INSERT INTO shop_order (number, placed_at) VALUES (%s, now())"


@contextmanager
def begun(*, direct=True, gone=False):
    """As an atomic task is begun by a worker."""
    with transaction.atomic(), sql.django_connection(connections["default"], direct=direct).begin():
        yield
        transaction.set_rollback(gone)


def execute(statement, values=()):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
