"""Traces by OpenTelemetry: a span for each task that is sent, and one for each of its runs.

    from taskq.contrib.opentelemetry import instrument

    instrument()

The extra ``otel`` has what this needs: ``pip install 'taskq-pool[otel]'``. It is built on the
signals of :mod:`taskq.signals`. Names and attributes are those of OpenTelemetry's conventions for
messaging.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TracerProvider

import taskq
from taskq import signals
from taskq.task.request import Request, worker_name

#: Of an error's text, as a span's status shows it.
STATUS_LENGTH = 200


def instrument(*, parent: bool = False, tracer_provider: TracerProvider | None = None) -> None:
    """Make a span for each task that this process sends, and for each that it runs. Called again,
    it replaces what it did before.

    Args:
        parent: The run's span is a child of the sender's. By default it begins a trace of its own,
            with a link to the sender's: a task may run days later, and many runs would make one
            trace too large to read.
        tracer_provider: By default the global one, also if that is set later.
    """
    global _tracing
    uninstrument()
    _tracing = _Tracing(parent, tracer_provider)
    _tracing.connect()


def uninstrument() -> None:
    """Make no spans any more."""
    global _tracing
    if _tracing is not None:
        _tracing.disconnect()
        _tracing = None


class _Tracing:
    """The receivers of taskq's signals, and the spans of runs that have not ended."""

    def __init__(self, parent: bool, tracer_provider: TracerProvider | None) -> None:
        self._parent = parent
        self._tracer = trace.get_tracer("taskq", taskq.__version__, tracer_provider)
        #: By the id of a task, with the time at which it began. A worker runs one at a time.
        self._running: dict[str, tuple[Span, int]] = {}
        self._receivers = (
            (signals.task_enqueuing, self.enqueuing),
            (signals.task_started, self.started),
            (signals.task_succeeded, self.succeeded),
            (signals.task_retried, self.retried),
            (signals.task_failed, self.failed),
            (signals.task_cancelled, self.cancelled),
            (signals.task_lost, self.lost),
            (signals.worker_stopped, self.end_all),
        )

    def connect(self) -> None:
        for signal, receiver in self._receivers:
            signal.connect(receiver)

    def disconnect(self) -> None:
        for signal, receiver in self._receivers:
            signal.disconnect(receiver)

    def enqueuing(self, name: str, headers: dict[str, Any], queue: str, **more: Any) -> None:
        """Add the context of a new span to the headers. The id of the task is not known yet."""
        span = self._tracer.start_span(
            f"{name} publish",
            kind=SpanKind.PRODUCER,
            attributes=_attributes(name, queue, "publish", "send"),
        )
        propagate.inject(headers, trace.set_span_in_context(span))
        span.end()

    def started(self, id: str, name: str, request: Request, **more: Any) -> None:
        """Begin a span, in which the task's function is called."""
        self.end_all()
        sent = propagate.extract(request.headers)
        sender = trace.get_current_span(sent).get_span_context()
        links = []
        if not self._parent:
            links = [Link(sender)] if sender.is_valid else []
            sent = trace.set_span_in_context(trace.INVALID_SPAN, sent)  # what else came along stays
        began = time.time_ns()
        span = self._tracer.start_span(
            f"{name} process",
            context=sent,
            kind=SpanKind.CONSUMER,
            links=links,
            start_time=began,
            attributes={
                **_attributes(name, request.queue, "process", "process"),
                "messaging.message.id": str(request.pk),
                "taskq.attempt": request.attempt,
                "taskq.retries": request.retries,
                "taskq.losses": request.losses,
                "taskq.worker": worker_name() or "",
            },
        )
        self._running[id] = span, began
        # Nothing is detached: a run has a copy of the context, which ends with it.
        context.attach(trace.set_span_in_context(span, sent))

    def succeeded(self, id: str, seconds: float, **more: Any) -> None:
        self._end(id, "succeeded", seconds=seconds)

    def retried(self, id: str, error: str, exception: BaseException | None, **more: Any) -> None:
        self._end(id, "retried", error, _path(exception))

    def failed(
        self, id: str, error: str, traceback: str, exception: BaseException | None, **more: Any
    ) -> None:
        self._end(id, "failed", error, _path(exception), traceback)

    def cancelled(self, id: str, error: str, **more: Any) -> None:
        self._end(id, "cancelled", error)

    def lost(self, id: str, cause: str, **more: Any) -> None:
        """An outage has ended the run. If a worker has died, its span died with it."""
        self._end(id, "interrupted", cause)

    def end_all(self, **more: Any) -> None:
        """A run whose lease was gone has no outcome, and no signal says so."""
        for id in list(self._running):
            self._end(id, "fenced", "its outcome was not recorded")

    def _end(
        self,
        id: str,
        outcome: str,
        error: str = "",
        kind: str = "",
        traceback: str = "",
        seconds: float | None = None,
    ) -> None:
        span, began = self._running.pop(id, (None, 0))
        if span is None:
            return
        span.set_attribute("taskq.outcome", outcome)
        if error:  # a task may ask for a retry without one
            # Made of the text, not of the exception: there sensitive arguments are masked.
            kind = kind or error.partition(":")[0]
            span.set_attribute("error.type", kind)
            happened = {"exception.type": kind, "exception.message": error}
            if traceback:
                happened["exception.stacktrace"] = traceback
            span.add_event("exception", happened)
            span.set_status(Status(StatusCode.ERROR, error[:STATUS_LENGTH]))
        span.end(None if seconds is None else began + int(seconds * 1e9))


_tracing: _Tracing | None = None


def _attributes(name: str, queue: str, operation: str, kind: str) -> dict[str, str]:
    return {
        "messaging.system": "taskq",
        "messaging.destination.name": queue,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "taskq.task": name,
    }


def _path(exception: BaseException | None) -> str:
    if exception is None:
        return ""
    kind = type(exception)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"
