"""A running task puts a graph in its place, or one more part beside itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from django.db import transaction

from taskq import sql
from taskq.outbox import enqueue
from taskq.outbox.terms import Terms
from taskq.task import request
from taskq.task.registry import Definition
from taskq.workflow import sending
from taskq.workflow.graph import Graph, Step


class Replace(Exception):
    """Raised by a task: let this graph take its place.

    The row of the task becomes the last step, under the same id, so what waits for the task waits
    for that. It is written with the end of the run. What an atomic task has written until then is
    rolled back.

    Args:
        graph: The steps.
        last: The last of the steps that were added.

    Raises:
        TypeError, ValueError: As :func:`taskq.workflow.sending.send`.
    """

    def __init__(self, graph: Graph, last: Step) -> None:
        super().__init__(f"to be replaced by {last}")
        if last is not graph.steps[-1]:
            raise ValueError(f"{last} is not the last step of the graph")
        *others, self.last = [sending.row(step) for step in graph.steps]
        self.others = sending.values_of(graph, others)


def add_part(
    definition: Definition,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    using: str | None = None,
    **terms: Unpack[Terms],
) -> int:
    """Send one more part for the steps that wait for the running task, in the transaction that is
    open. What it returns comes at the end of their lists of inputs.

    Returns the primary key of the new task.

    Raises RuntimeError outside of a step of a workflow, and what sending raises.
    """
    run = request.current_request()
    if run is None or run.workflow is None or run.pk is None:
        raise RuntimeError("no step of a workflow runs here, to which a part could be added")
    graph = Graph()
    step = graph.add(definition, args, kwargs, **terms)
    values = sending.values_of(graph, [{**sending.row(step), "passes": True}])
    connection, _ = enqueue.database(using)
    wrapper = connection.wrapper
    add = sql.replacing_of(wrapper.vendor).ADD_PART
    with transaction.atomic(wrapper.alias):  # no part without its edge
        _, (id,) = sending.write(connection, values, run.workflow)
        connection.rows(add, {"part": id, "beside": run.pk})
    return id
