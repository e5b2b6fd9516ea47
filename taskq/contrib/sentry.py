"""Errors of tasks in Sentry, and check-ins of schedules.

    sentry_sdk.init(dsn=..., integrations=[DjangoIntegration(), TaskqIntegration()])

It is built on the signals of :mod:`taskq.signals`. Errors of the pool itself come by the log, of
which Sentry takes each ERROR.
"""

from __future__ import annotations

import functools
import logging
import re
import uuid
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import sentry_sdk
from sentry_sdk.crons import capture_checkin
from sentry_sdk.integrations import Integration
from sentry_sdk.scope import add_global_event_processor
from sentry_sdk.utils import event_from_exception

from taskq import signals
from taskq.task import masking
from taskq.task.request import Request, worker_name

#: Sentry's monitors know no seconds.
_MINUTE = 60
_SLUG = re.compile(r"[^a-z0-9_-]+")
_SLUG_LENGTH = 50


class TaskqIntegration(Integration):
    """Reports failed tasks, each with its name, id, tags and a fingerprint.

    Args:
        check_ins: Check in with Sentry Crons for each run of a periodic task. A monitor is made for
            each schedule of whole minutes, with its times. By default it is off, because monitors
            may cost money.
    """

    identifier = "taskq"

    def __init__(self, *, check_ins: bool = False) -> None:
        self.check_ins = check_ins

    @staticmethod
    def setup_once() -> None:
        """Sentry's SDK calls this once in a process."""
        for signal, receiver in _RECEIVERS:
            signal.connect(receiver, dispatch_uid=f"taskq.contrib.sentry.{receiver.__name__}")
        add_global_event_processor(_process)


class _Run(NamedTuple):
    """A run in progress.

    id: of its task. scope: which its end leaves. hide: masks the sensitive arguments that it began
        with, if any.
    """

    id: str
    scope: AbstractContextManager[Any]
    hide: masking.Hide | None


#: A worker runs one task at a time.
_run: _Run | None = None


def _installed() -> TaskqIntegration | None:
    found = sentry_sdk.get_client().get_integration(TaskqIntegration)
    return found if isinstance(found, TaskqIntegration) else None


def _started(id: str, name: str, request: Request, **more: Any) -> None:
    """Begin a scope: tags and breadcrumbs of a run are its own."""
    global _run
    if (found := _installed()) is None:
        return
    _run = _Run(id, sentry_sdk.isolation_scope(), request.hide)
    scope = _run.scope.__enter__()
    scope.clear_breadcrumbs()
    scope.set_transaction_name(name, source="task")
    scope.set_tags(_tags(name, request.pk, request.queue))
    scope.set_context(
        "taskq",
        {
            "id": str(id),
            "attempt": request.attempt,
            "retries": request.retries,
            "losses": request.losses,
            "worker": worker_name(),
        },
    )
    if found.check_ins:
        _check_in(request, "in_progress")


def _succeeded(id: str, request: Request, seconds: float, **more: Any) -> None:
    if (found := _installed()) is not None and found.check_ins:
        _check_in(request, "ok", seconds)
    _leave_scope(id)


def _retried(id: str, **more: Any) -> None:
    """It is not over: its check-in stays in progress."""
    _leave_scope(id)


def _failed(
    id: str,
    name: str,
    request: Request | None,
    error: str,
    traceback: str,
    exception: BaseException | None,
    **more: Any,
) -> None:
    if (found := _installed()) is None:
        return
    mechanism = {"type": "taskq", "handled": False}
    if exception is not None and not masking.is_sensitive(name):
        options = sentry_sdk.get_client().options
        event, hint = event_from_exception(exception, options, mechanism)
    else:
        # The exception and the variables of its frames have what must not be seen.
        kind, _, text = error.partition(": ")
        event, hint = {"level": "error", "extra": {"traceback": traceback}}, {}
        event["exception"] = {"values": [{"type": kind, "value": text, "mechanism": mechanism}]}
    event["fingerprint"] = ["{{ default }}", name]
    event["transaction"] = name
    event["tags"] = _tags(name, getattr(id, "int", None), getattr(request, "queue", None))
    sentry_sdk.capture_event(event, hint)
    if found.check_ins and request is not None:
        _check_in(request, "error")
    _leave_scope(id)


def _cancelled(id: str, request: Request | None, **more: Any) -> None:
    if (found := _installed()) is not None and found.check_ins and request is not None:
        _check_in(request, "error")
    _leave_scope(id)


def _worker_stopped(**more: Any) -> None:
    """A worker ends without running exit handlers."""
    sentry_sdk.flush()


def _leave_scope(id: str) -> None:
    """Of another run than this an outcome may be told, in a thread."""
    global _run
    if _run is not None and _run.id == id:
        _run.scope.__exit__(None, None, None)
        _run = None


def _process(event: Any, hint: dict[str, Any]) -> Any:
    """Change an event before it is sent. None: it is not sent."""
    if _installed() is None:
        return event
    record = hint.get("log_record")
    kept = event if record is None else _of_the_log(event, record)
    hide = None if _run is None else _run.hide
    return kept if kept is None or hide is None else _masked(kept, hide)


def _masked(value: Any, hide: masking.Hide) -> Any:
    """A part of an event without the variables of frames, and with each text masked."""
    match value:
        case str():
            return hide(value)
        case dict():
            return {key: _masked(each, hide) for key, each in value.items() if key != "vars"}
        case list() | tuple():
            return [_masked(each, hide) for each in value]
    return value


def _of_the_log(event: Any, record: logging.LogRecord) -> Any:
    """Tags and a fingerprint for the events of taskq's log. None for what _failed has told."""
    said = getattr(record, "event", None)
    if said == "task.failed" or (record.exc_info and _stands_in(record.exc_info[0])):
        return None
    if isinstance(said, str) and record.name in ("taskq", "pool"):
        fields = getattr(record, "fields", {})
        name = fields.get("task_name")
        event.setdefault("fingerprint", ["taskq", said, name or ""])
        event["tags"] = {
            **event.get("tags", {}),
            "taskq.event": said,
            **(_tags(name, fields.get("task_id"), None) if name else {}),
        }
    return event


def _stands_in(kind: type[BaseException] | None) -> bool:
    """Whether this stands for the error of a task with sensitive arguments, in Django's log."""
    return kind is not None and (kind.__module__, kind.__name__) == _MASKED


#: Not imported: a site may have none of Django's tasks.
_MASKED = ("taskq.django.results", "MaskedError")


def _tags(name: str, pk: int | None, queue: str | None) -> dict[str, str]:
    found = {"taskq.task": name, "taskq.task_id": pk, "taskq.queue": queue}
    return {key: str(value) for key, value in found.items() if value is not None}


# Check-ins


def _check_in(request: Request, status: str, seconds: float | None = None) -> None:
    """Tell Sentry Crons of a tick's run, if it is one. All attempts are one check-in."""
    if request.scheduled_at is None or (found := _monitor(request)) is None:
        return
    slug, config = found
    capture_checkin(
        monitor_slug=slug,
        check_in_id=uuid.uuid5(
            uuid.NAMESPACE_OID, f"{slug} {request.scheduled_at} {request.pk}"
        ).hex,
        status=status,
        duration=seconds,
        monitor_config=config,
    )


def _monitor(request: Request) -> tuple[str, Any] | None:
    """The slug and the configuration for the schedule that has sent a run. None where Sentry knows
    no such schedule."""
    from taskq.schedules.entry import Entry  # the settings, which import this, have no models yet
    from taskq.task.timing import SECOND

    def ticks(entry: Entry) -> bool:
        assert request.scheduled_at is not None
        return next(entry.timing.after(request.scheduled_at - SECOND), None) == request.scheduled_at

    mine = [entry for entry in _entries() if entry.task == request.name]
    entry = next(filter(ticks, mine), None)
    config = None if entry is None else _config(entry)
    if entry is None or config is None:
        return None
    return _SLUG.sub("-", entry.name.lower()).strip("-")[:_SLUG_LENGTH], config


@functools.cache
def _entries() -> list[Any]:
    from django.db import connections

    from taskq.schedules import entries

    return [entry for alias in connections for entry in entries.entries(alias)]


def _config(entry: Any) -> dict[str, Any] | None:
    from taskq.task.timing import BOTH, Cron, Every

    match entry.timing:
        case Cron(expression=expression, zone=zone) if not expression.startswith(BOTH):
            return {"schedule": {"type": "crontab", "value": expression}, "timezone": zone}
        case Every(seconds=seconds) if seconds % _MINUTE == 0:
            minutes = seconds // _MINUTE
            return {"schedule": {"type": "interval", "value": minutes, "unit": "minute"}}
    return None


_RECEIVERS = (
    (signals.task_started, _started),
    (signals.task_succeeded, _succeeded),
    (signals.task_retried, _retried),
    (signals.task_failed, _failed),
    (signals.task_cancelled, _cancelled),
    (signals.worker_stopped, _worker_stopped),
)
