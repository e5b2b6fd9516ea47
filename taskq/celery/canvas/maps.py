"""``xmap``, ``xstarmap`` and ``chunks``: many calls of one task in few tasks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from taskq.celery.canvas.parallel import group
from taskq.celery.canvas.reading import in_chunks
from taskq.celery.canvas.signatures import Signature, maybe_signature
from taskq.celery.result_set import GroupResult


class _Map(Signature):
    """Many calls of one task, one after the other, in one run. Its value is the list of theirs.

    The task is called as a function: its own retries and limits count for none of the calls. It
    waits in the queue of the task.

    Args:
        task: A signature of the task. Its own arguments are not used.
        it: The argument of each call.
        **options: Options of ``apply_async()``.
    """

    #: The name of the task that makes the calls.
    made_by = ""

    def __init__(self, task: Any, it: Iterable[Any], app: object = None, **options: Any) -> None:
        super().__init__(
            self.made_by,
            (),
            {"task": maybe_signature(task), "it": list(it)},
            options,
            subtask_type=type(self).__name__,
            immutable=True,
        )

    @classmethod
    def _of_dict(cls, d: dict[str, Any]) -> Any:
        return cls(d["kwargs"]["task"], d["kwargs"]["it"], **d["options"])


@Signature.register_type()
class xmap(_Map):
    """``task(x)`` for each x of ``it``, in one run."""

    made_by = "taskq.map"

    def __repr__(self) -> str:
        return f"[{self.kwargs['task'].task}(x) for x in {self.kwargs['it']!r}]"


@Signature.register_type()
class xstarmap(_Map):
    """``task(*x)`` for each x of ``it``, in one run."""

    made_by = "taskq.starmap"

    def __repr__(self) -> str:
        return f"[{self.kwargs['task'].task}(*x) for x in {self.kwargs['it']!r}]"


@Signature.register_type()
class chunks(Signature):
    """A group of ``xstarmap``: many calls of one task, ``n`` in each run.

    Args:
        task: A signature of the task.
        it: The positional arguments of each call, a tuple or list.
        n: How many calls a run makes, 1 or more.
        **options: Options of ``apply_async()`` for each run.

    Raises ValueError for an ``n`` below 1.
    """

    def __init__(
        self, task: Any, it: Iterable[Any], n: int, app: object = None, **options: Any
    ) -> None:
        if n < 1:
            raise ValueError(f"n is {n}: give the number of calls in a run, 1 or more")
        parts = {"task": maybe_signature(task), "it": list(it), "n": n}
        super().__init__("taskq.chunks", (), parts, options, subtask_type="chunks", immutable=True)

    @classmethod
    def _of_dict(cls, d: dict[str, Any]) -> Any:
        return cls(**{key: d["kwargs"][key] for key in ("task", "it", "n")}, **d["options"])

    def __call__(self, **options: Any) -> GroupResult:
        """Send it."""
        return cast(GroupResult, self.apply_async(**options))

    def delay(self, *args: Any, **kwargs: Any) -> GroupResult:  # type: ignore[override]
        """Send it. Arguments are ignored."""
        return self()

    def group(self) -> group:
        """The group."""
        task, calls, n = (self.kwargs[key] for key in ("task", "it", "n"))
        return group([xstarmap(task, some) for some in in_chunks(calls, n)], **self.options)

    @classmethod
    def apply_chunks(cls, task: Any, it: Iterable[Any], n: int, app: object = None) -> Any:
        """Send it."""
        return cls(task, it, n)()
