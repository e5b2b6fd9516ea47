"""A signature that takes the place of the task that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskq.celery.canvas.planning import Given, Planner
from taskq.workflow.graph import Output
from taskq.workflow.replacing import Replace


def exception_for(part: Mapping[str, Any]) -> Replace:
    """What a run raises to be replaced by this signature.

    Raises TypeError or ValueError for one that cannot be sent.
    """
    planner = Planner()
    planned = planner.plan(part, Given(), {})
    if planned is None:
        raise ValueError("an empty chain cannot replace a task: give it a part")
    graph = planner.graph
    value = planned.value
    # The row of the task becomes the last step, so one step must come last and have the value.
    if not isinstance(value, Output) or value.step is not graph.steps[-1]:
        value = planner.collected(planned).value
    return Replace(graph, value.step)
