"""Whether a connection is exactly Django's own, and all that a statement passes on its way.

A shortcut around Django is taken only where there is nothing to go around. So the class decides:
a subclass may do anything in between, such as choose the tenant's schema. Tools change methods
of Django's own classes too, or put theirs before them on one connection.
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
    """Attributes of a class that a statement passes, and the folder of the package that writes
    them."""

    owner: type
    names: Sequence[str]
    root: str = DJANGO


class Way:
    """What a statement passes, from Django's connection to the driver."""

    def __init__(self, *stretches: Stretch) -> None:
        self._owners = [each.owner for each in stretches]
        self._looks = [attrgetter(*each.names) for each in stretches]
        self._roots = [each.root for each in stretches for _ in each.names]
        self._known: list[object] = [None] * len(self._roots)

    def is_own(self) -> bool:
        """Whether Django and the driver have written all of it as it is now."""
        found = map(call, self._looks, self._owners)
        # By identity: proxies are equal to what they wrap.
        if all(map(is_, chain.from_iterable(found), self._known)):
            return True
        as_it_is = list(chain.from_iterable(map(call, self._looks, self._owners)))
        own = all(map(_is_from, self._roots, as_it_is))
        if own:  # such as what Django's tests put there
            self._known = as_it_is
        return own


def is_shadowed(instance: Any, names: Set[str]) -> bool:
    """Whether an attribute of one instance stands before a method of its class."""
    own = vars(instance)
    return not own.keys().isdisjoint(names) and not all(
        _is_bound(own[name], name, instance) for name in names & own.keys()
    )


def _is_bound(attribute: object, name: str, instance: object) -> bool:
    """Whether this is the class's own method, as a test leaves it there that has put it back."""
    if type(attribute) is not MethodType or attribute.__self__ is not instance:
        return False
    return attribute.__func__ is getattr(type(instance), name)


def _is_from(root: str, attribute: object) -> bool:
    function = attribute.fget if isinstance(attribute, property) else attribute
    return type(function) is FunctionType and function.__code__.co_filename.startswith(root)


def is_djangos(instance: object) -> bool:
    """Whether Django ships the class of this, and all that it inherits from."""
    owner: Any = type(instance)
    return is_djangos_class(owner)


@functools.cache
def is_djangos_class(owner: type) -> bool:
    """Whether Django ships this class and all that it inherits from."""
    return all(_is_shipped(each) for each in inspect.getmro(owner) if each is not object)


def _is_shipped(owner: type) -> bool:
    module = sys.modules.get(owner.__module__)
    file = getattr(module, "__file__", None) or ""
    return file.startswith(DJANGO) and getattr(module, owner.__qualname__, None) is owner
