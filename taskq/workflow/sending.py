"""Sending a graph: its rows, in the caller's transaction."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from django.db import transaction

from taskq import lazy_models, signals, sql
from taskq.outbox import enqueue
from taskq.task.payload import PayloadError
from taskq.values import moment, seconds
from taskq.workflow.graph import Graph, Step


class SentGraph(NamedTuple):
    """What a graph has led to.

    ids: the primary keys of its tasks, in the order of its steps.
    workflow: the primary key of the workflow; None for a graph without steps.
    """

    ids: list[int]
    workflow: int | None


def send(graph: Graph, using: str | None = None) -> SentGraph:
    """Write all steps of a graph, or none, in the transaction that is open on the database.

    using: the alias of the database. By default the router decides.

    Raises TypeError or ValueError (PayloadError among them), which names the step.
    """
    rows = [row(step) for step in graph.steps]
    if not rows:
        return SentGraph([], None)
    connection, _ = enqueue.database(using)
    wrapper = connection.wrapper
    workflow, ids = write(connection, values_of(graph, rows))
    if signals.task_enqueued.receivers:
        for each, id in zip(rows, ids, strict=True):
            signals.enqueued(wrapper, each["name"], [id], each["queue"])
    return SentGraph(ids, workflow)


def send_again(
    sent: lazy_models.SentWorkflow, *, using: str | None = None
) -> lazy_models.SentWorkflow:
    """Send a workflow as a whole once more, as it was sent the first time.

    The first one stays as it is: cancel it before, if steps of it are left.

    Args:
        sent: The workflow.
        using: The alias of the database. By default the router decides.

    Returns:
        The new workflow.
    """
    connection, _ = enqueue.database(using)
    wrapper = connection.wrapper
    within = None if sent.deadline is None else (sent.deadline - sent.created_at).total_seconds()
    values = {
        "name": sent.name,
        "steps": sent.steps,
        "edges": sent.edges,
        "deadline": None,
        "within": within,
    }
    workflow, _ = write(connection, values)
    assert workflow is not None  # it is a new one
    return lazy_models.SentWorkflow.objects.using(wrapper.alias).get(pk=workflow)


def write(
    connection: sql.DjangoConnection, values: Mapping[str, Any], workflow: int | None = None
) -> tuple[int | None, list[int]]:
    """Write the rows of steps, all or none. On PostgreSQL it is one statement.

    values: of :func:`values_of`. workflow: the one to which the steps belong; None for a new one.

    Returns the primary key of a new workflow, and those of the steps in order.
    """
    wrapper = connection.wrapper
    with transaction.atomic(wrapper.alias) if wrapper.vendor == "sqlite" else nullcontext():
        return sql.workflows_of(wrapper.vendor).send(
            connection.rows, {**values, "workflow": workflow, "own": []}
        )


def row(step: Step) -> dict[str, Any]:
    """The columns of a step's row. Raises as :func:`send`."""
    definition = step.definition
    try:
        found = enqueue.row(
            definition.name, step.args, step.kwargs, definition.options, **step.terms
        )
    except (TypeError, ValueError) as error:
        raise _naming(step, error) from error
    waits = bool(step.places)
    return {**found, "blocked": waits, "passes": step.passes or None}


def values_of(graph: Graph, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of ``send`` for the steps that have these rows."""
    deadline, within = graph.deadline, None
    if isinstance(deadline, datetime.datetime):
        deadline = moment("deadline", deadline)
    elif deadline is not None:
        within = seconds("deadline", deadline, also="a datetime, a timedelta or ")
        deadline = None
    edges = [
        {"part": part, "step": step, "place": place, "waits_for": int(on)}
        for part, step, place, on in graph.edges
    ]
    steps = [{"place": place, **_plain(each)} for place, each in enumerate(rows)]
    return {
        "name": graph.name,
        "steps": json.dumps(steps),
        "edges": json.dumps(edges),
        "deadline": deadline,
        "within": within,
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns as JSON has them: times in UTC, as both databases read them."""
    return {
        name: value.replace(tzinfo=None).isoformat(" ") if _is_time(value) else value
        for name, value in row.items()
    }


def _is_time(value: object) -> bool:
    return isinstance(value, datetime.datetime)


def _naming(step: Step, error: Exception) -> Exception:
    text = f"step {step.index} ({step.definition.name}): {error}"
    return type(error)(text) if isinstance(error, PayloadError) or type(error) in _PLAIN else error


_PLAIN = (TypeError, ValueError)
