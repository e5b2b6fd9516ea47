"""Tasks inside of pickles: stored by name, as pickle stores functions."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from taskq.task import registry


def registered(name: str, module: str) -> object:
    """The task that is registered by this name. Its module is imported first if necessary.

    Raises LookupError when the module registers no such task.
    """
    definition = registry.find(name)
    if definition is None:
        importlib.import_module(module)
        definition = registry.find(name)
    if definition is None:
        raise LookupError(f"no task is called {name!r}: was it renamed, or removed?")
    return definition.bound


def variant(name: str, module: str, values: Mapping[str, Any]) -> object:
    """A Django task as :func:`registered` finds it, with these values of its fields."""
    return replace(cast(Any, registered(name, module)), **values)
