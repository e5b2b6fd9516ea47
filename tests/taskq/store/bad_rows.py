"""Rows of tasks that were typed by hand."""

from django.db import connection

from tests.project.lab import tasks


def insert(name=tasks.quick.name, payload='[["a"],{}]', **columns):
    values = {"name": name, "payload": payload, **columns}
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO taskq_task ({names}) VALUES ({marks})", list(values.values()))
