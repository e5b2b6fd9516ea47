"""``Signature``: a task with some of its arguments and options, as a dict that JSON can carry."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar, cast

from taskq.celery.async_result import AsyncResult
from taskq.celery.canvas import running, sending
from taskq.celery.canvas.freezing import frozen
from taskq.celery.canvas.items import Item
from taskq.celery.canvas.links import Links
from taskq.celery.canvas.reading import checked, kind_of, merged
from taskq.celery.canvas.shapes import is_empty_group
from taskq.celery.eager import EagerResult
from taskq.task import masking, registry

S = TypeVar("S", bound="type[Signature]")


class Signature(Links):
    """A task with some of its arguments and options, to be sent later.

    It is a dict with the keys task, args, kwargs, options, subtask_type and immutable. So it can be
    an argument of a task, and ``signature(d)`` makes one of the plain dict that the task gets.

    Args:
        task: A task, its name, or a dict with the keys above.
        args: Positional arguments. Those that are given later come before them.
        kwargs: Keyword arguments. Those that are given later win.
        options: Options of ``apply_async()``.
        type: The task, where ``task`` is its name.
        subtask_type: "chain", "group", "chord" and the like; None is a single task.
        immutable: Arguments given later are ignored.
        app: Ignored: all tasks are in one registry.
        **more: Options of ``apply_async()`` too.

    Raises:
        TypeError: ``task`` is none of these.
    """

    #: The classes by the ``subtask_type`` of their dicts.
    TYPES: ClassVar[dict[str, type[Signature]]] = {}

    task = Item[str]("task")
    args = Item[Sequence[Any]]("args")
    kwargs = Item[dict[str, Any]]("kwargs")
    subtask_type = Item[str | None]("subtask_type")
    immutable = Item[bool]("immutable")
    id = Item[str | None]("options", "task_id")
    parent_id = Item[str | None]("options", "parent_id")
    root_id = Item[str | None]("options", "root_id")

    _type: Any = None

    def __init__(
        self,
        task: Any = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        type: Any = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: object = None,
        **more: Any,
    ) -> None:
        if isinstance(task, dict):
            super().__init__(checked(task), args=tuple(checked(task)["args"] or ()))
            return
        name = getattr(task, "name", task)
        if not isinstance(name, str):
            raise TypeError(f"{task!r} is no task: give a task, its name, or a dict")
        self._type = type if task is name else task
        super().__init__(
            task=name,
            args=tuple(args or ()),
            kwargs=kwargs if isinstance(kwargs, dict) else dict(kwargs or {}),
            options={**(options or {}), **more},
            subtask_type=subtask_type,
            immutable=immutable,
        )

    @classmethod
    def register_type(cls, name: str | None = None) -> Callable[[S], S]:
        """A decorator for a class of signatures, by the name that is the ``subtask_type``."""

        def register(kind: S) -> S:
            cls.TYPES[name or kind.__name__] = kind
            return kind

        return register

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: object = None) -> Any:
        """The signature of which this is the dict. Raises TypeError for a dict of nothing such."""
        kind = cls.TYPES.get(checked(d)["subtask_type"] or "", Signature)
        return kind._of_dict(checked(d))

    @classmethod
    def _of_dict(cls, d: dict[str, Any]) -> Any:
        """As :meth:`from_dict`, for a dict of this kind."""
        return cls(d)

    # Sending

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult | EagerResult:
        """Send it, with these arguments too. Raises as :meth:`apply_async`."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult | EagerResult:
        """Send it, in the transaction that is open. A workflow is sent by one statement: all of it
        or nothing.

        Args:
            args: Positional arguments, which come before those of the signature, as in Celery.
            kwargs: Keyword arguments, which win over those of the signature.
            **options: Options of ``Task.apply_async``, which win over those of the signature
                unless they are None.

        Returns:
            An AsyncResult, of a group a GroupResult. In eager mode an EagerResult, or such a group.

        Raises:
            TypeError: The arguments do not fit, an option is unknown or refused, or a part is no
                signature.
            ValueError: No task of that name is registered, an option is out of range, a part holds
                itself, or there are too many steps.
        """
        given = {name: value for name, value in options.items() if value is not None}
        return sending.send(self, args or (), kwargs or {}, given)  # type: ignore[no-any-return]

    def send_made(self) -> Any:
        """Send it as the own ``apply_async()`` of its task has made it, without asking that."""
        return sending.send(self, (), {}, {}, is_made=True)

    def apply(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Run it here and now, as in eager mode. Arguments are as of :meth:`apply_async`."""
        given = {name: value for name, value in options.items() if value is not None}
        return running.run(self, args or (), kwargs or {}, given)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function of the task here."""
        all_args, all_kwargs, _ = merged(self, args, kwargs)
        return self.type(*all_args, **all_kwargs)

    def __invert__(self) -> Any:
        return self.apply_async().get()

    @property
    def type(self) -> Any:
        """The task. Raises ValueError when none of that name is registered."""
        if self._type is None:
            definition = registry.find(self.task)
            if definition is None or definition.bound is None:
                raise ValueError(f"no task is registered by the name {self.task!r}")
            return definition.bound
        return self._type

    @type.setter
    def type(self, task: Any) -> None:
        self._type = task

    @property
    def name(self) -> str:
        return self.task

    # Copies with changes, and changes

    def clone(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """A signature with these arguments and options added, as :meth:`apply_async` adds them."""
        all_args, all_kwargs, all_options = merged(self, args or (), kwargs or {}, options)
        parts = {"args": tuple(all_args), "kwargs": dict(all_kwargs)}
        clone = self.from_dict({**self, **parts, "options": copy.deepcopy(all_options)})
        clone._type = self._type
        return cast(Self, clone)

    partial = clone

    def replace(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """A signature with these in place of its own. None leaves its own."""
        clone = self.clone()
        for name, value in (("args", args), ("kwargs", kwargs), ("options", options)):
            if value is not None:
                clone[name] = value
        return clone

    def freeze(self, _id: str | None = None, **options: Any) -> Any:
        """Give ids to its tasks now, and return its result. When it is sent, the tasks have them.

        Args:
            _id: The id of its last task. By default a random one; one that has an id keeps it.
            **options: Further options of the task, as in Celery.

        Raises TypeError for an empty chain.
        """
        return frozen(self, _id, options)

    def set(self, immutable: bool | None = None, **options: Any) -> Self:
        """Set options of apply_async, and return this signature."""
        if immutable is not None:
            self.set_immutable(immutable)
        self.options.update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Whether arguments given later are ignored."""
        self.immutable = immutable

    # Text and operators

    def __or__(self, other: Any) -> Any:
        """``a | b``: first a, then b with the value of a."""
        other = operand(other)
        if other is NotImplemented:
            return other
        chain: Any = self.TYPES["chain"]
        if kind_of(other) == "chain":
            return chain.of([self, *chain.unchain_tasks(other)])
        if is_empty_group(other):
            return chain.of([self])
        return chain.of([self, without_its_group(other)])

    def __ior__(self, other: Any) -> Any:
        return self.__or__(other)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        memo[id(self)] = clone = self.clone()
        return clone

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[dict[str, Any]]]:
        return signature, (dict(self),)

    def __json__(self) -> dict[str, Any]:
        return dict(self)

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """It as a text, with these arguments too: ``"app.add(2, 2)"``. Arguments that the task
        names as sensitive are masked."""
        all_args, all_kwargs, _ = merged(self, args, kwargs, force=True)
        words = [*map(repr, all_args), *(f"{name}={value!r}" for name, value in all_kwargs.items())]
        text = f"{self.task}({', '.join(words)})"
        hide = masking.hiding(self.task, list(all_args), dict(all_kwargs))
        return text if hide is None else hide(text)

    def __repr__(self) -> str:
        return self.reprcall()


def signature(varies: Any, *args: Any, **kwargs: Any) -> Any:
    """A signature of a task, of the name of a task, or of the dict of a signature. Of a signature
    it is a copy. Further arguments are those of ``Signature``."""
    if isinstance(varies, Signature):
        return varies.clone()
    if isinstance(varies, dict):
        return Signature.from_dict(varies)
    return Signature(varies, *args, **kwargs)


def maybe_signature(d: Any, app: object = None, clone: bool = False) -> Any:
    """A signature for the dict of one. A signature is left as it is, or with ``clone`` copied; so
    is None."""
    if isinstance(d, Signature):
        return d.clone() if clone else d
    return Signature.from_dict(d) if isinstance(d, dict) else d


def operand(other: Any) -> Any:
    """What stands behind a ``|``. A dict would be merged, so one of no signature is a TypeError."""
    if isinstance(other, dict):
        return maybe_signature(checked(other, "what follows the |"))
    return NotImplemented


def without_its_group(part: Any) -> Any:
    """The only part of a group that has one. Anything else is left as it is."""
    if kind_of(part) == "group" and len(part.kwargs["tasks"]) == 1:
        return maybe_signature(part.kwargs["tasks"][0])
    return part
