"""``Workflow``: a graph of calls as a user writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack

from taskq import lazy_models
from taskq.error_text import storable
from taskq.limits import NAME_LENGTH
from taskq.outbox import enqueue
from taskq.outbox.terms import Terms
from taskq.task import registry
from taskq.task.registry import Definition
from taskq.task.states import On
from taskq.values import require
from taskq.workflow.graph import Deadline, Graph, Outputs, Step
from taskq.workflow.sending import send

_ENDS = {"done": On.DONE, "failed": On.FAILED, "ended": On.ENDED}


class Workflow:
    """Calls of tasks that wait for each other. ``send()`` writes all of them in the caller's
    transaction: they commit with its rows, or not at all.

    ::

        flow = Workflow("report")
        parts = [flow.add(count, [shop.pk]) for shop in shops]
        total = flow.add(add_up, [flow.results(parts)])
        flow.add(mail, [total.result], after=[parts[0]])
        flow.send()

    Args:
        name: For people, as in the dashboard.
        deadline: Seconds from the send, a timedelta or a datetime. What has not ended by then is
            cancelled. By default there is none, as a step may wait for a person's retry.

    Raises:
        TypeError: The name is no text.
        ValueError: The name cannot be stored.
    """

    def __init__(self, name: str = "", *, deadline: Deadline | None = None) -> None:
        mend = f"give a text of at most {NAME_LENGTH} characters, without NUL or lone surrogates"
        require(isinstance(name, str) and storable(name, NAME_LENGTH) == name, "name", name, mend)
        self._graph = Graph(name, deadline=deadline)

    @property
    def steps(self) -> Sequence[Step]:
        """The steps so far."""
        return tuple(self._graph.steps)

    def add(
        self,
        task: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        after: Iterable[Step] = (),
        on: Literal["done", "failed", "ended"] = "done",
        if_fails: Literal["stop", "go on"] = "stop",
        instead_of: Step | None = None,
        **terms: Unpack[Terms],
    ) -> Step:
        """Add a call of a task.

        Args:
            task: A task of ``shared_task`` or of Django's ``@task``. Of the latter, the priority,
                queue and time that ``using()`` gave count.
            args: Positional arguments. The ``result`` of an earlier step, or :meth:`results` of
                many, stands for what they return, also inside of lists and dicts.
            kwargs: Keyword arguments, the same.
            after: Earlier steps that it waits for besides.
            on: What it waits for in those: that each is done, that each has failed, or has ended
                in either way.
            if_fails: "stop": what waits for this step goes on waiting, so that a person can retry
                this one. "go on": it runs all the same, with None as the result of this step.
            instead_of: Run only if that step fails, and take its place for all that is added later
                and waits for it.
            **terms: ``queue``, ``priority``, ``countdown``, ``eta``, ``expires`` and ``headers``,
                as of ``apply_async()``. A countdown counts from the end of what it waits for.

        Returns:
            The step, to be named by later ones.

        Raises:
            TypeError: It is no task, the arguments do not fit the function, the task is unique, or
                a step is none of this workflow.
            ValueError: ``on`` or ``if_fails`` has another value, there are too many steps, or a
                step waits for ``instead_of`` already.
        """
        if on not in _ENDS:
            raise ValueError(f"on is {on!r}: give 'done', 'failed' or 'ended'")
        if if_fails not in ("stop", "go on"):
            raise ValueError(f"if_fails is {if_fails!r}: give 'stop' or 'go on'")
        definition, own = _call_of(task)
        own.update(terms)
        step = self._graph.add(
            definition,
            args,
            kwargs,
            after=after,
            on=_ENDS[on],
            goes_on=if_fails == "go on",
            **own,
        )
        if instead_of is not None:
            self._graph.instead(instead_of, step)
        return step

    def results(self, steps: Iterable[Step]) -> Outputs:
        """What stands for the list of what these steps return, in this order."""
        return self._graph.outputs(steps)

    def include(self, other: Workflow, *, after: Iterable[Step] = ()) -> list[Step]:
        """Add all steps of another workflow, as a part of this one.

        Args:
            other: It is copied, so it can be included again. Its name and deadline do not count.
            after: Steps of this workflow for which its first ones wait.

        Returns:
            The new steps, in the order of the other's.
        """
        return self._graph.include(other._graph, after=list(after))

    def send(self, *, using: str | None = None) -> lazy_models.SentWorkflow:
        """Write all steps, in the transaction that is open on the database.

        Args:
            using: The alias of the database. By default the router decides.

        Returns:
            The workflow as it was sent.

        Raises:
            ValueError: There is no step, or the arguments of one cannot be stored.
            TypeError: As ``apply_async()``; the text names the step.
        """
        if not self._graph.steps:
            raise ValueError("the workflow has no steps: add() some before send()")
        alias = enqueue.database(using)[0].wrapper.alias
        sent = send(self._graph, alias)
        assert sent.workflow is not None  # it has steps
        return lazy_models.SentWorkflow.objects.using(alias).get(pk=sent.workflow)


def _call_of(task: object) -> tuple[Definition, Terms]:
    """The task that an object stands for, and the terms that it brings along."""
    name = getattr(task, "module_path", None) or getattr(task, "name", None)
    definition = registry.find(name) if isinstance(name, str) else None
    if definition is None:
        raise TypeError(
            f"{task!r} is no task: give a function with @shared_task, or with Django's @task whose "
            "backend is taskq's"
        )
    if not hasattr(task, "module_path"):
        return definition, {}
    terms: Terms = {"queue": getattr(task, "queue_name", None)}
    if priority := getattr(task, "priority", None):
        terms["priority"] = priority
    if run_after := getattr(task, "run_after", None):
        terms["eta"] = run_after
    return definition, terms
