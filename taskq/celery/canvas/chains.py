"""``chain``: parts that run one after the other, each with the value of the one before."""

from __future__ import annotations

from typing import Any, Self

from taskq.celery.canvas.items import Item
from taskq.celery.canvas.parallel import chord
from taskq.celery.canvas.reading import brief, kind_of, parts_of
from taskq.celery.canvas.shapes import OF_THE_WHOLE, is_empty_group, without
from taskq.celery.canvas.signatures import (
    Signature,
    maybe_signature,
    operand,
    without_its_group,
)
from taskq.celery.listed import listed


@Signature.register_type()
class chain(Signature):
    """Parts that run one after the other. Each gets the value of the one before as its first
    argument. Sent, it gives the result of the last one; its ``parent`` is the one before.

    A group with something behind it becomes a chord. A chain in it becomes part of it.

    Args:
        *tasks: Signatures, or one iterable of them.
        **options: Options of ``apply_async()``. ``link`` is for the last part, ``link_error`` for
            all, and the others for the first, as in Celery.

    Raises:
        TypeError: A part is no signature.
        ValueError: There are more than ``taskq.limits.STEPS`` parts.
    """

    tasks = Item[list[Any]]("kwargs", "tasks")

    def __new__(cls, *tasks: Any, app: object = None, **options: Any) -> Any:
        alone = len(tasks) == 1 and isinstance(tasks[0], Signature)
        given = tasks[0] if len(tasks) == 1 and not alone else tasks
        parts = [maybe_signature(part) for part in parts_of(given, "a chain")]
        if not parts or alone or options:
            return cls.of(parts, options)
        line: list[Any] = []
        for part in parts[:-1]:
            _put(line, part.clone())
        _put(line, parts[-1])
        starts_parallel = kind_of(without_its_group(parts[0])) == "group"
        return line[0] if starts_parallel and len(line) == 1 else cls.of(line)

    def __init__(self, *tasks: Any, **options: Any) -> None:
        """Nothing is left to do: ``a | b`` may be no chain, so ``__new__`` has made it."""

    @classmethod
    def of(cls, parts: list[Any], options: dict[str, Any] | None = None) -> Any:
        """A chain of just these parts."""
        made = super().__new__(cls)
        Signature.__init__(
            made, "celery.chain", (), {"tasks": parts}, options, subtask_type="chain"
        )
        return made

    @classmethod
    def _of_dict(cls, d: dict[str, Any]) -> Any:
        tasks = [maybe_signature(part) for part in parts_of(d["kwargs"]["tasks"], "a chain")]
        made = cls.of(tasks, d["options"])
        made.update(args=tuple(d["args"] or ()), immutable=d["immutable"])
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send it. The arguments go to the first part."""
        return self.apply_async(args, kwargs)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Send it. The arguments go to the first part."""
        return self.apply_async(args, kwargs)

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> Self:
        clone = super().clone(args, kwargs, **options)
        clone.tasks = [maybe_signature(part, clone=True) for part in clone.tasks]
        return clone

    def unchain_tasks(self) -> list[Any]:
        """Copies of the parts. The last one has the callbacks of the chain, each its errbacks."""
        tasks = [maybe_signature(part, clone=True) for part in self.tasks]
        for callback in listed(self.options.get("link")) if tasks else ():
            tasks[-1].link(callback)
        for errback in listed(self.options.get("link_error")):
            for part in tasks:
                part.link_error(errback)
        return tasks

    def __or__(self, other: Any) -> Any:
        other = operand(other)
        if other is NotImplemented:
            return other
        if is_empty_group(other):
            return self
        other = without_its_group(other)
        tasks = self.unchain_tasks()
        if not tasks and kind_of(other) == "group":
            return other
        _put(tasks, other)
        kept = without(self.options, OF_THE_WHOLE)
        return self.of(tasks, kept)

    def __repr__(self) -> str:
        if not self.tasks:
            return f"<{type(self).__name__}@{id(self):#x}: empty>"
        return brief(self.tasks[0].task, " | ".join(map(repr, self.tasks)))


def _put(tasks: list[Any], part: Any) -> None:
    """Put a part behind those of a chain. They are changed where they take it in."""
    part = without_its_group(part)
    if is_empty_group(part):
        return
    if kind_of(part) == "chain":
        for each in part.unchain_tasks():
            _put(tasks, each)
        return
    last = kind_of(tasks[-1]) if tasks else None
    if last == "group" and kind_of(part) != "group":
        tasks[-1] = chord(tasks[-1], part)
    elif last == "chord" and kind_of(part) != "chord":
        _put_behind_body(tasks[-1], part)
    else:
        tasks.append(part)


def _put_behind_body(joined: Any, part: Any) -> None:
    """Put a part behind the body of a chord."""
    body = joined.body
    if body is not None and kind_of(body) == "chain" and not body.options:
        _put(body.tasks, part)
    else:
        joined.body = body | part
