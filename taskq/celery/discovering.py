"""The modules that ``app.autodiscover_tasks()`` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from django.apps import apps
from django.utils.module_loading import module_has_submodule


def modules(
    packages: Iterable[str] | Callable[[], Iterable[str]] | None, related_name: str | None
) -> Callable[[], list[str]]:
    """Returns a function that lists them, for when Django's apps are loaded."""

    def found() -> list[str]:
        if packages is None:
            names: Iterable[str] = [each.name for each in apps.get_app_configs()]
        else:
            names = map(_package, packages() if callable(packages) else packages)
        if not related_name:
            return list(names)
        return [f"{name}.{related_name}" for name in names if _has(name, related_name)]

    return found


def _package(name: str) -> str:
    """The package of an app that is named by the path of its class, as in ``INSTALLED_APPS``."""
    for each in apps.get_app_configs():
        if name == f"{type(each).__module__}.{type(each).__qualname__}":
            return each.name
    return name


def _has(package: str, module: str) -> bool:
    try:
        return module_has_submodule(import_module(package), module)
    except ImportError:
        return True  # so that the import is tried, and its error is reported
