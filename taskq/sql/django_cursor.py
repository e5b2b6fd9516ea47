"""Whether a connection is exactly Django's own, with all code that a statement passes.

A shortcut around Django is allowed only if it skips nothing else. So the class must be Django's: a
subclass may do anything, such as choosing the tenant's schema. Tools also replace methods of
Django's classes, or add methods to one connection.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Sequence, Set
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import django

DJANGO = os.path.dirname(django.__file__) + os.sep


class Stretch(NamedTuple):
    """Attributes of a class that a statement passes, and the folder of the package that wrote
    them."""

    owner: type
    names: Sequence[str]
    root: str = DJANGO


class Way:
    """All code that a statement passes, from Django's connection to the driver."""

    def __init__(self, *stretches: Stretch) -> None:
        self._stretches = stretches
        self._is_as_known: Callable[[], bool] = lambda: False

    def is_own(self) -> bool:
        """Whether all of that code is now what Django and the driver have written."""
        return self._is_as_known() or self._is_still_own()

    def _is_still_own(self) -> bool:
        """Look at it anew: it may differ and still be Django's, such as what Django's tests put
        there."""
        found = [
            (each, name, getattr(each.owner, name))
            for each in self._stretches
            for name in each.names
        ]
        own = all(_is_from(each.root, value) for each, _, value in found)
        if own:
            self._is_as_known = _comparison(
                [(each.owner, name, value) for each, name, value in found]
            )
        return own


def _comparison(known: Iterable[tuple[type, str, object]]) -> Callable[[], bool]:
    """A function that says whether these attributes of classes still have these values.

    By identity, because proxies are equal to what they wrap. Made of text, as ``namedtuple`` makes
    its classes: a loop over the names would take three times as long, for each statement.
    """
    names: dict[str, object] = {}
    terms = []
    for place, (owner, name, value) in enumerate(known):
        names |= {f"owner{place}": owner, f"value{place}": value}
        terms.append(f"owner{place}.{name} is value{place}")
    compare: Callable[[], bool] = eval(f"lambda: {' and '.join(terms)}", names)
    return compare


def is_shadowed(instance: Any, names: Set[str]) -> bool:
    """Whether an attribute of the instance hides a method of its class."""
    own = instance.__dict__
    if own.keys().isdisjoint(names):
        return False
    return not all(_is_bound(own[name], name, instance) for name in names & own.keys())


def _is_bound(attribute: object, name: str, instance: object) -> bool:
    """Whether this is the class's own method. Tests leave it so when they restore a method."""
    if type(attribute) is not MethodType or attribute.__self__ is not instance:
        return False
    return attribute.__func__ is getattr(type(instance), name)


def _is_from(root: str, attribute: object) -> bool:
    function = attribute.fget if isinstance(attribute, property) else attribute
    return type(function) is FunctionType and function.__code__.co_filename.startswith(root)


def is_djangos(instance: object) -> bool:
    """Whether Django ships the class of this instance, and all classes that it inherits from."""
    owner: Any = type(instance)
    return is_djangos_class(owner)


@functools.cache
def is_djangos_class(owner: type) -> bool:
    """Whether Django ships this class, and all classes that it inherits from."""
    return all(_is_shipped(each) for each in inspect.getmro(owner) if each is not object)


def _is_shipped(owner: type) -> bool:
    module = sys.modules.get(owner.__module__)
    file = getattr(module, "__file__", None) or ""
    return file.startswith(DJANGO) and getattr(module, owner.__qualname__, None) is owner
