"""Logs for machines: a filter that says which task a line is from, and a formatter for JSON lines.

A site names both in its ``LOGGING``. ``manage.py taskq_pool --log-format json`` sets them up where
the site has no ``LOGGING``.
"""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Sequence
from typing import Any

from taskq.task import masking, request

#: What a record of the standard library has. Anything else was given by ``extra=``, or by a filter.
_STANDARD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}
_FORMATTER = logging.Formatter()
#: What the filter puts on records.
TASK_FIELDS = ("task_id", "task_name", "attempt", "queue", "worker")


class TaskFilter(logging.Filter):
    """Puts the running task on each record, whatever logger a task's code uses.

    Give it to a handler: filters of a logger do not see the records of the loggers below it. The
    fields, which a format such as ``%(task_name)s`` can name:

    - ``task_id``: the primary key of the task's row.
    - ``task_name``, ``queue``, and ``attempt``: how often the task was claimed, this time included.
    - ``worker``: such as "worker 3", on every record of a worker's process.

    A field that does not apply is None: outside of a run, and ``task_id`` in an eager run. A thread
    that a task starts has the fields if it runs in the task's context
    (``contextvars.copy_context().run``). ``asyncio`` and asgiref do so by themselves.

    While a task runs, it also masks the values of arguments that the task calls ``sensitive``: in
    the message, in what ``extra=`` gave, and in the text of an exception. Handlers that come later,
    and formatters that use ``record.exc_text`` as ``logging.Formatter`` does, see the stars.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields. Always True: no record is left out."""
        run = request.current.get()
        record.worker = request.worker_name()
        if run is None:
            record.task_id = record.task_name = record.attempt = record.queue = None
        else:
            record.task_id, record.task_name = run.pk, run.name
            record.attempt, record.queue = run.attempt or None, run.queue
            if run.hide is not None:
                try:
                    _mask(record, run.hide, masking.names(run.name))
                except Exception:  # a wrong format, or code of a value: no line may fail a task
                    _mask_all(record)
        return True


class TextFormatter(logging.Formatter):
    """A pool's own format: a line of a task's code begins with the task's name and id."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without a traceback. taskq's own lines name the task themselves."""
        name = None if hasattr(record, "event") else getattr(record, "task_name", None)
        task = "" if name is None else f"{name} #{getattr(record, 'task_id', None)}: "
        return f"{record.asctime} {record.levelname} {task}{record.message}"


class JsonFormatter(logging.Formatter):
    """Makes one line of JSON of each record.

    Each line has ``time`` (UTC, as in ISO 8601), ``level``, ``logger``, ``message`` and ``pid``.
    To these come, where there are any: the fields of :class:`TaskFilter`, the ``event`` of taskq
    with its fields, what the code gave as ``extra=``, and the text of an exception as ``exception``
    with ``stack`` for ``stack_info=True``. No arguments of a task are in it unless its code logs
    them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end. A value that JSON cannot carry stands there as text."""
        said = _fields(record)
        said |= {name: value for name, value in _given(record).items() if name not in said}
        if record.exc_info and record.exc_info[0] and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            said["exception"] = record.exc_text
        if record.stack_info:
            said["stack"] = self.formatStack(record.stack_info)
        try:
            return json.dumps(said, default=_text, skipkeys=True, allow_nan=False)
        except (ValueError, RecursionError):  # a circle, or a number that JSON lacks
            return json.dumps({name: _plain(value) for name, value in said.items()})


def _mask(record: logging.LogRecord, hide: masking.Hide, names: Sequence[str]) -> None:
    """Mask what the record says of a run."""
    record.msg, record.args = hide(record.getMessage()), None
    if record.exc_info:
        record.exc_text = hide(_FORMATTER.formatException(record.exc_info))
    for name, value in _given(record).items():
        if name in names:
            setattr(record, name, masking.MASK)
        elif name not in TASK_FIELDS:
            text = value if isinstance(value, str) else repr(value)
            if (hidden := hide(text)) != text:
                setattr(record, name, hidden)


def _mask_all(record: logging.LogRecord) -> None:
    """Of a line that cannot be masked nothing is shown."""
    record.msg, record.args, record.exc_info = "(a line that cannot be masked)", None, None
    for name in _given(record).keys() - TASK_FIELDS:
        setattr(record, name, masking.MASK)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    message, fields = record.getMessage(), {}
    if isinstance(event := getattr(record, "event", None), str):
        # The lines below the first one say what is in the fields too.
        message = message.partition("\n")[0]
        fields = {"event": event, **getattr(record, "fields", {})}
    return {
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": message,
        "pid": record.process,
        **fields,
    }


def _given(record: logging.LogRecord) -> dict[str, Any]:
    """What the filter and ``extra=`` have put on the record."""
    return {
        name: value
        for name, value in record.__dict__.items()
        if name not in _STANDARD
        and name not in ("event", "fields")
        and not (value is None and name in TASK_FIELDS)
    }


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # the object's own code may raise anything
        return f"<{type(value).__name__}>"


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int)) or value is None else _text(value)
