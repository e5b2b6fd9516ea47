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
from collections.abc import Iterable
from operator import attrgetter, is_
from types import FunctionType, MethodType
from typing import Any

import django

_DJANGO = os.path.dirname(django.__file__) + os.sep


class Way:
    """Attributes of a class that are on the way of a statement.

    root: the folder of the package that writes them.
    """

    def __init__(self, owner: type, names: Iterable[str], root: str = _DJANGO) -> None:
        self.names = frozenset(names)
        self._owner = owner
        self._root = root
        self._look = attrgetter(*self.names)
        self._known: tuple[object, ...] = (None,) * len(self.names)

    def is_own(self) -> bool:
        """Whether the package has written all of them as they are now."""
        found = self._look(self._owner)
        # By identity: proxies are equal to what they wrap.
        if all(map(is_, found, self._known)):
            return True
        own = all(_is_from(self._root, each) for each in found)
        if own:  # such as the one that Django's tests put there
            self._known = found
        return own

    def is_own_for(self, instance: Any) -> bool:
        """The same for one instance, in which an attribute may stand before the class's."""
        if not self.is_own():
            return False
        own = vars(instance)
        return own.keys().isdisjoint(self.names) or all(
            _is_bound(own[name], name, instance) for name in self.names & own.keys()
        )


def _is_bound(attribute: object, name: str, instance: object) -> bool:
    """Whether this is the class's own method, as a test leaves it there that has put it back."""
    if type(attribute) is not MethodType or attribute.__self__ is not instance:
        return False
    return attribute.__func__ is getattr(type(instance), name)


def _is_from(root: str, attribute: object) -> bool:
    function = attribute.fget if isinstance(attribute, property) else attribute
    return type(function) is FunctionType and function.__code__.co_filename.startswith(root)


@functools.cache
def is_djangos_class(owner: type) -> bool:
    """Whether Django ships this class and all that it inherits from."""
    return all(_is_shipped(each) for each in inspect.getmro(owner) if each is not object)


def _is_shipped(owner: type) -> bool:
    module = sys.modules.get(owner.__module__)
    file = getattr(module, "__file__", None) or ""
    return file.startswith(_DJANGO) and getattr(module, owner.__qualname__, None) is owner
