"""Who listens to taskq's signals in the pools of some tests, as TASKQ_TEST_RECEIVERS says."""

import contextvars
import os

from stress.project.runs import note
from taskq import signals

#: As a tracing library would have one.
trace = contextvars.ContextVar("trace", default=None)

NAMES = (
    "task_started task_succeeded task_retried task_failed task_cancelled task_lost "
    "worker_started worker_stopped"
).split()


def _fails(name):
    def fail(**fields):
        raise ValueError(f"no good: {name}")

    return fail


def _notes(name):
    def hear(sender, signal, id=None, request=None, **fields):
        told = {key: fields[key] for key in fields if isinstance(fields[key], (int, float, str))}
        if request is not None:
            told.update(headers=request.headers, retries=request.retries)
            if name == "task_started" and "trace" in request.headers:
                trace.set(request.headers["trace"])
            told["trace"] = trace.get()
        if "exception" in fields:
            told["exception"] = repr(fields["exception"])
        note("heard", signal=name, id=str(id), sender=repr(sender), **told)

    return hear


def connect():
    how = {"1": _notes, "fail": _fails}.get(os.environ.get("TASKQ_TEST_RECEIVERS", ""))
    for name in NAMES if how else ():
        getattr(signals, name).connect(how(name), weak=False)
