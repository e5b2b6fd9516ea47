"""Rows that no enqueuer writes, as if typed by hand."""

from __future__ import annotations

import itertools
import pickle
from base64 import b64encode

import django.db
from django.db import connection, transaction
from django.db.models.functions import Now

from stress.chaos.sending import new_key
from stress.project.lab.kinds import KINDS
from stress.project.lab.models import Entry
from stress.rig.history import History
from taskq.models import State, Task

_FORGED = b64encode(pickle.dumps([["a"], {}])).decode()

#: Characters of a payload that is far too long. SQLite writes the whole row again with each
#: claim, and blocks all other writers meanwhile. On a busy machine more than this would take
#: as long as a lease of chaos.
FAR_TOO_MANY = {"postgresql": 30_000_000, "sqlite": 3_000_000}
#: Bad payloads. The checker finds the row again by the {key} in it.
PAYLOADS = {
    "broken JSON": '[["{key}"',
    "not a pair": '{{"args": ["{key}"]}}',
    "wrong types": '["{key}", {{}}]',
    "unknown tag": '[[{{"$taskq": "evil", "value": "{key}"}}], {{}}]',
    "malformed date": '[["{key}", {{"$taskq": "date", "value": "2026-13-99"}}], {{}}]',
    "forged pickle": "pickle:" + _FORGED + ":{key}",
    "too few arguments": '[[], {{"nothing": "{key}"}}]',
    "too many arguments": '[["{key}", 1, 2], {{}}]',
    "unknown arguments": '[["{key}"], {{"b": 1}}]',
    "NUL and half a character": '[["{key}", "\\u0000 \\ud800"], {{}}]',
    "deep nesting": '["{key}"' + "[" * 50_000 + "]" * 50_000 + "]",
    "far too long": '[["{key}"], {{"y": "{long}"}}]',
}
#: No pool has known them for so long that they fail instead of waiting.
_LONG_AGO = "2001-01-01T00:00:00Z"
_LONG_UNKNOWN: dict[str, str | int] = {"unknown_since": _LONG_AGO}
#: Bad values in other columns. Such a task runs in spite of it, waits, or fails.
COLUMNS: dict[str, tuple[str, dict[str, str | int]]] = {
    "unknown queue": ("fast", {"queue": "a queue that no pool works for"}),
    "far too urgent": ("fast", {"priority": 32767}),
    "unknown task": ("bad", {"name": "stress.project.lab.tasks.no_such_task", **_LONG_UNKNOWN}),
    "a name to import": ("bad", {"name": "os.abort", **_LONG_UNKNOWN}),
}


def type_bad_rows(history: History) -> None:
    """Insert each kind of bad row, each in a transaction of its own."""
    for payload in PAYLOADS.values():
        _insert(history, "bad", payload, {})
    for kind, columns in COLUMNS.values():
        _insert(history, kind, '[["{key}"], {{}}]', columns)


def _insert(history: History, kind: str, payload: str, columns: dict[str, str | int]) -> None:
    key = new_key(KINDS[kind])
    history.record("intent", key=key, task=kind)
    values: dict[str, str | int] = {
        "name": KINDS[kind].task_name,
        "payload": payload.format(key=key, long="x" * FAR_TOO_MANY[connection.vendor]),
        **columns,
    }
    marks = ", ".join(itertools.repeat("%s", len(values)))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            Entry.objects.create(key=key, kind=kind)
            cursor.execute(
                f"INSERT INTO taskq_task ({', '.join(values)}) VALUES ({marks})",
                list(values.values()),
            )
    except django.db.Error:  # the entry shows whether the row was committed
        connection.close()
    else:
        history.record("commit", key=key)


def make_unknown_for_long() -> None:
    """Set back the time from which tasks of unknown names wait for a pool that knows them.

    That time begins anew when a task is reclaimed, and then lasts longer than the end of a run.
    """
    names = [columns["name"] for _, columns in COLUMNS.values() if "name" in columns]
    waiting = Task.objects.filter(state=State.READY, name__in=names)
    recent = waiting.exclude(unknown_since=_LONG_AGO)
    if recent.exists():  # on SQLite an update takes the write lock, also if it changes nothing
        recent.update(unknown_since=_LONG_AGO, execute_at=Now())
