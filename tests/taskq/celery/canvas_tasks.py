"""Tasks for workflows of Celery's canvas, which note what ran."""

from __future__ import annotations

from taskq.celery import (
    shared_task,
)
from taskq.models import State, Task
from taskq.testing import run_all

#: What ran, in order: the name of the task and what it was called with.
ran: list = []


@shared_task(ignore_result=False)
def add(x, y=0):
    ran.append(("add", x, y))
    return x + y


@shared_task(ignore_result=False)
def total(values, more=0):
    ran.append(("total", values))
    return sum(values) + more


@shared_task(ignore_result=False)
def note(*args, **kwargs):
    ran.append(("note", args, kwargs))
    return list(args)


@shared_task(ignore_result=False)
def fail(*args):
    ran.append(("fail", args))
    raise KeyError("no")


@shared_task
def told_id(id, word="by id"):
    ran.append((word, id))


@shared_task
def told_all(request, error, traceback):
    ran.append((request.id, request.task, type(error), str(error), "KeyError" in traceback))


def run(sent):
    """Run all that waits, and return the value of what was sent."""
    run_all(propagate=False)
    return sent.get(timeout=0)


def left():
    """The names and states of the rows that are left."""
    rows = Task.objects.order_by("id").values_list("name", "state")
    return [(name.rpartition(".")[2], State(state).name) for name, state in rows]
