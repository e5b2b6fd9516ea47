"""A task run as a worker runs it, without a worker."""

from __future__ import annotations

from taskq.task import registry
from taskq.task.calling import call
from taskq.task.request import Request


def run(task, *args, retries=0, **kwargs):
    """Run a task as a worker does."""
    definition = registry.find(task.name)
    request = Request(pk=7, name=task.name, queue="default", retries=retries)
    return call(definition, request, list(args), kwargs)
