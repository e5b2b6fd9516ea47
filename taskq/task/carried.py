"""What a task is sent in, and is run in again: its tenant, say, or a language.

``TASKQ["CONTEXT"]`` names a module for each such context. It has two functions:
``capture()`` returns what the caller is in, as a value that JSON can hold, or None for nothing;
``enter(value)`` returns a context manager, within which the task's function is called. Between the
two the value is a header of the task, by the name that the setting gives it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from taskq import conf


def captured(headers: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The headers of a task that is sent now: those given, and the contexts that it is sent in."""
    found = {name: context(path).capture() for name, path in conf.settings().context.items()}
    values = {name: value for name, value in found.items() if value is not None}
    return {**values, **(headers or {})} if values else headers


@contextmanager
def entered(headers: Mapping[str, Any] | None) -> Iterator[None]:
    """Within the contexts that a task was sent in; its own code is to be run there."""
    with ExitStack() as stack:
        for name, path in conf.settings().context.items():
            if headers and name in headers:
                stack.enter_context(context(path).enter(headers[name]))
        yield


@functools.cache
def context(path: str) -> Any:
    """A module by its path. Raises ImproperlyConfigured if it is none of these."""
    try:
        found = import_module(path)
    except Exception as error:  # what its code raises, too
        raise ImproperlyConfigured(
            f"TASKQ['CONTEXT'] names {path!r}, which cannot be imported: {error}"
        ) from error
    for name in ("capture", "enter"):
        if not callable(getattr(found, name, None)):
            raise ImproperlyConfigured(
                f"TASKQ['CONTEXT'] names {path!r}, which has no function {name}(): write one"
            )
    return found
