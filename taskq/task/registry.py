"""The registry of tasks: for each name its function and its options.

Only a registered function can run. A name from a row is looked up here; it is never
imported or called as such.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps

from taskq import printable
from taskq.limits import NAME_LENGTH
from taskq.task.options import TaskOptions

if TYPE_CHECKING:
    from taskq.task.claimed import Claimed
    from taskq.task.hooks import RunHooks

#: How many correct call shapes are remembered per function. One that takes any keyword has no end.
SHAPES = 100


@dataclass(frozen=True)
class Definition:
    """A registered task.

    bound: the front door's own object; passed as first argument when ``options.bind``.
    hooks: makes what that door does around a run, of the claimed task and the worker's name in
        results.
    database: the alias of the database that it is sent to; None is the router's.
    """

    name: str
    function: Callable[..., Any]
    options: TaskOptions
    bound: object = None
    hooks: Callable[[Claimed, str], RunHooks] | None = None
    database: str | None = None

    @functools.cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The signature of the task's own arguments, without those that a worker passes first.

        Raises TypeError when the function has no room for those, ValueError when Python knows
        no signature of the function.
        """
        return self._own(inspect.signature(self.function))

    def _own(self, signature: inspect.Signature) -> inspect.Signature:
        if not (self.options.bind or getattr(self.bound, "takes_context", False)):
            return signature
        parameters = list(signature.parameters.values())
        if not parameters:
            raise TypeError(f"{_place(self.function)} takes no argument, and is to be given one")
        if parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
            return signature
        return signature.replace(parameters=parameters[1:])

    @functools.cached_property
    def taken(self) -> inspect.Signature:
        """As :attr:`signature`, but of what is really called. A decorator around the function
        may take other arguments than the function does."""
        return self._own(inspect.signature(self.function, follow_wrapped=False))

    @functools.cached_property
    def _shapes(self) -> set[object]:
        return set()

    def check_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError unless the function takes these arguments."""
        # Only the number of positional arguments and the names of the others matter.
        shape = (len(args), *kwargs) if kwargs else len(args)
        if shape in self._shapes:
            return
        try:
            self.taken.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}; it takes {self.taken}") from error
        if len(self._shapes) < SHAPES:
            self._shapes.add(shape)

    def arguments(self, args: list[Any]) -> list[Any]:
        return [self.bound, *args] if self.options.bind else args


#: How the names of taskq's own tasks begin.
_OWN = "taskq."
_definitions: dict[str, Definition] = {}
#: Names of tasks whose front door does something around a run.
_with_hooks: list[str] = []
#: Names that were registered after Django's setup. A pool that is forked then may not know them.
_late: set[str] = set()


def register(definition: Definition) -> None:
    """Make a task known.

    A function that is defined again, because its module was reloaded, replaces itself.

    Raises ValueError when another function has the name already, TypeError when the function
    cannot do what its options promise.
    """
    name, function = definition.name, definition.function
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{_place(function)} is a generator: calling it runs nothing")
    if definition.options.atomic and definition.is_async:
        raise TypeError(
            f"atomic is True, but {_place(function)} is async: Django's transactions do not "
            "reach into coroutines; make it a plain def"
        )
    if definition.options.sensitive:
        _check_sensitive(definition)
    if not isinstance(name, str) or not name or len(name) > NAME_LENGTH:
        raise ValueError(f"name is {name!r}: give 1 to {NAME_LENGTH} characters")
    if name != printable.in_a_line(name):  # ps, logs and terminals show the name
        raise ValueError(
            f"name is {name!r}: give 1 to {NAME_LENGTH} characters, without control characters"
        )
    known = _definitions.get(name)
    if known is not None and _place(known.function) != _place(function):
        raise ValueError(
            f"two tasks are called {name!r}: {_place(known.function)} and {_place(function)}; "
            "give one of them another name="
        )
    if known is None and apps.ready:
        _late.add(name)
    _definitions[name] = definition
    if definition.hooks is not None and name not in _with_hooks:
        _with_hooks.append(name)


def forget(name: str) -> None:
    """Make a task unknown."""
    del _definitions[name]
    if name in _with_hooks:
        _with_hooks.remove(name)


def _check_sensitive(definition: Definition) -> None:
    """Refuse names that the function does not take. One with ``**kwargs`` takes any."""
    sensitive = definition.options.sensitive
    try:
        known = {**definition.taken.parameters, **definition.signature.parameters}
    except ValueError as error:
        raise TypeError(
            f"sensitive is {sensitive!r}, but Python knows no signature of "
            f"{_place(definition.function)}: wrap it into a def"
        ) from error
    own = definition.signature.parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in own):
        return
    for name in sensitive:
        if name not in known:
            raise ValueError(
                f"sensitive is {sensitive!r}: {_place(definition.function)} has no parameter "
                f"{name!r}; it has {', '.join(known) or 'none'}"
            )


def find(name: str) -> Definition | None:
    return _definitions.get(name)


def names() -> list[str]:
    """The names of the site's tasks, without those of taskq itself."""
    return sorted(name for name in _definitions if not name.startswith(_OWN))


def names_with_hooks() -> list[str]:
    """The names of tasks whose front door does something around a run."""
    return _with_hooks


def definitions() -> list[Definition]:
    return list(_definitions.values())


def late() -> list[Definition]:
    """The tasks of modules that were imported only after Django's setup."""
    return [definition for name, definition in _definitions.items() if name in _late]


def _place(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
