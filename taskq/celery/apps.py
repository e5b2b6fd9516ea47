"""The apps of this process: which one is the current one, as in Celery, and when they are ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_apps: list[Any] = []
_current: Any = None
#: Makes the app of a project that has none of its own.
_make_default: Callable[[], Any] | None = None


def add(app: object) -> None:
    """Note an app that was made."""
    _apps.append(app)


def every() -> list[Any]:
    """All apps that were made."""
    return list(_apps)


def set_current(app: object) -> None:
    """Make an app the current one."""
    global _current
    _current = app


def make_default_by(make: Callable[[], Any]) -> None:
    """Say how to make the app of a project that has none of its own."""
    global _make_default
    _make_default = make


def current() -> Any:
    """The app that was made last or set as the current one, or else a default one."""
    if _current is None:
        assert _make_default is not None, "taskq.celery.app.base sets it"
        set_current(_make_default())
    return _current


def if_any() -> Any:
    """The current app; None where nothing has made one yet."""
    return _current
