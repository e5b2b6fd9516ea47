"""``group``: parts that run side by side. ``chord``: a group, and a body that gets its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self, cast

from taskq.celery.canvas.items import Item
from taskq.celery.canvas.reading import brief, kind_of, parts_of
from taskq.celery.canvas.shapes import ends_of, is_empty_group
from taskq.celery.canvas.signatures import (
    Signature,
    maybe_signature,
    operand,
    without_its_group,
)
from taskq.celery.listed import listed
from taskq.celery.result_set import GroupResult


@Signature.register_type()
class group(Signature):
    """Parts that run side by side. Sent, it gives a GroupResult.

    Args:
        *tasks: Signatures, or one iterable of them. A generator is read at once.
        **options: Options of ``apply_async()`` for each part.

    Raises:
        TypeError: A part is no signature.
        ValueError: There are more than ``taskq.limits.STEPS`` parts.
    """

    tasks = Item[list[Any]]("kwargs", "tasks")

    def __init__(self, *tasks: Any, app: object = None, **options: Any) -> None:
        given = tasks[0] if len(tasks) == 1 else tasks
        if isinstance(given, group):
            parts = given.tasks
        else:
            given = [given.clone()] if isinstance(given, Signature) else given
            parts = [maybe_signature(part) for part in parts_of(given, "a group")]
        super().__init__("celery.group", (), {"tasks": parts}, options, subtask_type="group")

    @classmethod
    def _of_dict(cls, d: dict[str, Any]) -> Any:
        return _with(cls(d["kwargs"]["tasks"], **d["options"]), d)

    def __call__(self, *args: Any, **options: Any) -> GroupResult:
        """Send it. The arguments go to each part."""
        return self.apply_async(args, **options)

    def delay(self, *args: Any, **kwargs: Any) -> GroupResult:  # type: ignore[override]
        """Send it. The arguments go to each part."""
        return self.apply_async(args, kwargs)

    def apply_async(  # type: ignore[override]
        self, args: Any = None, kwargs: Any = None, **options: Any
    ) -> GroupResult:
        for name in ("link", "link_error"):
            if options.get(name) is not None:
                raise TypeError(
                    f"{name} of a group: make it a chord (group | task), or say it of each part"
                )
        return cast(GroupResult, super().apply_async(args, kwargs, **options))

    def __or__(self, other: Any) -> Any:
        """``group | b`` is a chord: b gets the list of the values."""
        other = operand(other)
        if other is NotImplemented:
            return other
        return self if is_empty_group(other) else chord(self, other)

    def link(self, callback: Any) -> Any:
        """As in Celery: send this too once the first part has succeeded, without its value. What is
        to run after all parts is the body of a chord."""
        return self.tasks[0].link(maybe_signature(callback).clone().set(immutable=True))

    def link_error(self, errback: Any) -> Any:
        """Send this too for each part that fails."""
        return tuple(part.link_error(maybe_signature(errback).clone()) for part in self.tasks)

    def set_immutable(self, immutable: bool) -> None:
        for part in self.tasks:
            part.set_immutable(immutable)

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> group:
        """Spread the parts over time: the first has a countdown of ``start`` seconds, and each one
        ``step`` more than the one before, but at most ``stop``."""
        countdown = start
        for part in self.tasks:
            part.set(countdown=countdown)
            if stop is None or countdown + step <= stop:
                countdown += step
        return self

    def __len__(self) -> int:
        return len(self.tasks)

    def __repr__(self) -> str:
        if not self.tasks:
            return "group(<empty>)"
        return brief(self.tasks[0].task, f"group({self.tasks!r})")


@Signature.register_type()
class chord(Signature):
    """A group, the header, and a body that gets the list of its values. Sent, it gives the result
    of the body, whose ``parent`` is that of the header.

    An empty header runs the body at once, with an empty list, as in Celery.

    Args:
        header: Signatures, or a group.
        body: A signature. It may also be given when the chord is called.
        **options: Options of ``apply_async()``, for the header and the body. A countdown and an ETA
            are for the header alone.

    Raises:
        TypeError: A part or the body is no signature.
        ValueError: There are more than ``taskq.limits.STEPS`` parts.
    """

    tasks = Item[Any]("kwargs", "header")
    body = Item[Any]("kwargs", "body")

    def __init__(
        self,
        header: Any,
        body: Any = None,
        task: str = "celery.chord",
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
        app: object = None,
        **options: Any,
    ) -> None:
        parts = {**(kwargs or {"kwargs": {}}), "header": header_of(header)}
        super().__init__(
            task, args, {**parts, "body": maybe_signature(body)}, options, subtask_type="chord"
        )

    @classmethod
    def _of_dict(cls, d: dict[str, Any]) -> Any:
        kwargs = {**d["kwargs"]}
        header, body = kwargs.pop("header"), kwargs.pop("body", None)
        made = cls(header, body, args=d["args"], kwargs=kwargs, **d["options"])
        return _with(made, d)

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Send it, with this body."""
        return self.apply_async((), {"body": body} if body is not None else {}, **options)

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> Self:
        clone = super().clone(args, kwargs, **options)
        clone.body = maybe_signature(clone.kwargs.get("body"), clone=True)
        return clone

    def __or__(self, other: Any) -> Any:
        """``chord | b``: b comes after the body."""
        other = operand(other)
        if other is NotImplemented:
            return other
        other = without_its_group(other)
        if kind_of(other) in ("group", "chain"):
            return super().__or__(other)
        clone = self.clone()
        clone.body = clone.body | other
        return clone

    def link(self, callback: Any) -> Any:
        """Send this too once the body has succeeded."""
        self.body.link(callback)
        return callback

    def link_error(self, errback: Any) -> Any:
        """Send this too if a part of the header fails, or the body. It is sent once."""
        self.body.link_error(maybe_signature(errback))
        return errback

    def set_immutable(self, immutable: bool) -> None:
        """Of the header alone, as in Celery."""
        for part in listed(self.tasks):
            part.set_immutable(immutable)

    def __length_hint__(self) -> int:
        """How many values the body gets, with those of each group that a part ends with."""
        return sum(map(ends_of, self.tasks))

    def __repr__(self) -> str:
        if self.body is None:
            return f"<chord without body: {self.tasks!r}>"
        first, *rest = self.body.tasks if kind_of(self.body) == "chain" else [self.body]
        words = (f"%{first.reprcall(self.tasks)}", *map(repr, rest))
        return brief(first.task, " | ".join(words))


def header_of(given: Any) -> list[Any]:
    """The parts of a header, however it was given."""
    given = maybe_signature(given)
    if isinstance(given, Signature):
        given = given.kwargs["tasks"] if kind_of(given) in ("group", "chain") else [given]
    parts = parts_of(map(_of_task, given) if _are_parts(given) else given, _HEADER)
    return [maybe_signature(part) for part in parts]


_HEADER = "the header of a chord"


def _are_parts(given: Any) -> bool:
    return isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping))


def _of_task(part: Any) -> Any:
    """A signature in the place of a task itself, which Celery takes in a header."""
    return Signature(part) if not isinstance(part, dict) and hasattr(part, "apply_async") else part


def _with(made: Signature, d: Mapping[str, Any]) -> Signature:
    """A signature that was made of a dict, with what its constructor does not take."""
    made.update(args=tuple(d["args"] or ()), immutable=d["immutable"])
    return made
