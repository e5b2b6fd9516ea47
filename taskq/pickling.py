"""Tasks in pickles: by their name, as a pickle of a function is."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.module_loading import import_string

from taskq import registry


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


def variant(path: str, values: Mapping[str, Any]) -> Any:
    """The task of Django's that is found at this path, with these values of its fields."""
    return replace(import_string(path), **values)
