"""Tasks in pickles: by their name, as a pickle of a function is."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from taskq.task import registry


def registered(name: str, module: str) -> object:
    """The task that is registered by this name; its module is imported where that is not done.

    Raises LookupError where there is none then.
    """
    definition = registry.find(name)
    if definition is None:
        importlib.import_module(module)
        definition = registry.find(name)
    if definition is None:
        raise LookupError(f"no task is called {name!r}: was it renamed, or removed?")
    return definition.bound


def variant(name: str, module: str, values: Mapping[str, Any]) -> object:
    """As :func:`registered` a task of Django's, with these values of its fields."""
    return replace(cast(Any, registered(name, module)), **values)
