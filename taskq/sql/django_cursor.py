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
from collections.abc import Sequence, Set
from itertools import chain
from operator import attrgetter, call, is_
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
        self._owners = [each.owner for each in stretches]
        self._looks = [attrgetter(*each.names) for each in stretches]
        self._roots = [each.root for each in stretches for _ in each.names]
        self._known: list[object] = [None] * len(self._roots)

    def is_own(self) -> bool:
        """Whether all of that code is now what Django and the driver have written."""
        found = map(call, self._looks, self._owners)
        # By identity, because proxies are equal to what they wrap.
        if all(map(is_, chain.from_iterable(found), self._known)):
            return True
        as_it_is = list(chain.from_iterable(map(call, self._looks, self._owners)))
        own = all(map(_is_from, self._roots, as_it_is))
        if own:  # it differs and is still Django's, such as what Django's tests put there
            self._known = as_it_is
        return own


def is_shadowed(instance: Any, names: Set[str]) -> bool:
    """Whether an attribute of the instance hides a method of its class."""
    own = vars(instance)
    return not own.keys().isdisjoint(names) and not all(
        _is_bound(own[name], name, instance) for name in names & own.keys()
    )


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
