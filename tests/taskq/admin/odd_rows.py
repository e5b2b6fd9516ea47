"""Rows with values that only SQL can write, and whether everything still opens."""

import json
from contextlib import suppress

from django.core.management import call_command
from django.db import connection

from tests.taskq.admin_site import LIST, SUMMARY, WORKERS, act, page, text


def put(row, **columns):
    """Write columns by SQL: there is no other way to have such values in them."""
    assignments = ", ".join(f"{name} = %s" for name in columns)
    with connection.cursor() as cursor:
        table = row._meta.db_table
        pk = connection.ops.quote_name(row._meta.pk.column)
        cursor.execute(
            f"UPDATE {table} SET {assignments} WHERE {pk} = %s", [*columns.values(), row.pk]
        )


def status(capsys):
    with suppress(SystemExit):
        call_command("taskq_status", "--json")
    return json.loads(capsys.readouterr().out)


def everything_opens(root, tasks):
    """The lists with all of these on one page, and each one's own pages."""
    for url in (
        LIST,
        SUMMARY,
        WORKERS,
        *(f"{LIST}?{q}" for q in ("state=failed", "state=pending", "o=1")),
    ):
        text(root.get(url))
    for task in tasks:
        for url in (page(task), page(task, "delete"), page(task, "history"), f"{LIST}?q={task.pk}"):
            text(root.get(url))
    text(act(root, "delete_selected", *tasks))
