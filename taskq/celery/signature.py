"""A task with some of its arguments and options, to be sent later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from taskq.celery.eager import EagerResult
from taskq.celery.result import AsyncResult


class Sendable(Protocol):
    """What a signature needs from its task."""

    name: str

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult | EagerResult:
        """Send it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function here."""


class Signature:
    """A task, arguments and options, sent with ``delay()`` or ``apply_async()``."""

    def __init__(
        self,
        task: Sendable,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        immutable: bool = False,
    ) -> None:
        self.task = task
        self.args = tuple(args)
        self.kwargs = dict(kwargs)
        self.options: dict[str, Any] = {}
        self.immutable = immutable

    def set(self, immutable: bool | None = None, **options: Any) -> Signature:
        """Set options of apply_async, and return this signature."""
        if immutable is not None:
            self.immutable = immutable
        self.options.update(options)
        return self

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult | EagerResult:
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult | EagerResult:
        """Send it.

        Args:
            args: Positional arguments, which come before those of the signature, as in Celery.
            kwargs: Keyword arguments, which win over those of the signature.
            **options: Options of ``SharedTask.apply_async``, which win over those of the signature
                unless they are None.
        """
        merged = self._merge(args or (), kwargs or {})
        given = {name: value for name, value in options.items() if value is not None}
        return self.task.apply_async(*merged, **{**self.options, **given})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        all_args, all_kwargs = self._merge(args, kwargs)
        return self.task(*all_args, **all_kwargs)

    def _merge(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self.immutable:
            return self.args, self.kwargs
        return (*args, *self.args), {**self.kwargs, **kwargs}

    def clone(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Signature:
        """A signature with these arguments and options added, as :meth:`apply_async` adds them."""
        copy = Signature(self.task, *self._merge(args or (), kwargs or {}))
        return copy.set(self.immutable, **{**self.options, **options})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        return f"<signature of {self.task.name}>"
