"""The surroundings of a call, such as its tenant or language, in which the task runs again.

``TASKQ["CONTEXT"]`` names a module for each such context. The module has two functions.
``capture()`` returns the caller's context as a value that JSON can hold, or None for none.
``enter(value)`` returns a context manager, and the task's function is called inside of it.
In between, the value is a header of the task; its key is the name that the setting gives.
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
    """The headers of a task that is sent now: the given ones, and the caller's contexts."""
    found = {name: context(path).capture() for name, path in conf.settings().context.items()}
    values = {name: value for name, value in found.items() if value is not None}
    return {**values, **(headers or {})} if values else headers


@contextmanager
def entered(headers: Mapping[str, Any] | None) -> Iterator[None]:
    """Enter the contexts that a task was sent in, to run its own code there."""
    with ExitStack() as stack:
        for name, path in conf.settings().context.items():
            if headers and name in headers:
                stack.enter_context(context(path).enter(headers[name]))
        yield


@functools.cache
def context(path: str) -> Any:
    """The module of a context, by its path.

    Raises ImproperlyConfigured when it cannot be imported or lacks one of the two functions.
    """
    try:
        found = import_module(path)
    except Exception as error:  # the module's own code may raise anything
        raise ImproperlyConfigured(
            f"TASKQ['CONTEXT'] names {path!r}, which cannot be imported: {error}"
        ) from error
    for name in ("capture", "enter"):
        if not callable(getattr(found, name, None)):
            raise ImproperlyConfigured(
                f"TASKQ['CONTEXT'] names {path!r}, which has no function {name}(): write one"
            )
    return found
