"""``TASKQ["CELERY_ALIAS"]``: ``import celery`` finds ``taskq.celery``, for apps of others."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import Error

from taskq import own_packages

_CELERY = "celery"
#: The modules of an app that Django imports before it looks at the next app.
_EARLY = ("__init__.py", "apps.py")


def is_wanted() -> bool:
    given = getattr(django_settings, "TASKQ", {})
    # A value of a wrong type is an error of the checks.
    return isinstance(given, dict) and given.get("CELERY_ALIAS") is True


def install() -> None:
    """Have ``import celery`` find ``taskq.celery``, if the site wants that.

    Raises what ``own_packages.stop`` does where Celery is installed.
    """
    if not is_wanted() or any(isinstance(each, _Finder) for each in sys.meta_path):
        return
    spec = importlib.util.find_spec(_CELERY)
    # A directory of that name without an __init__.py, such as one of a site's files, has no origin.
    if spec is not None and spec.origin is not None:
        own_packages.stop(
            Error(
                f"TASKQ['CELERY_ALIAS'] is True, but Celery is installed: {spec.origin}.",
                hint="Uninstall celery, and install the apps that ask for it with pip's --no-deps; "
                "or leave CELERY_ALIAS out.",
                id="taskq.E013",
            )
        )
    # First: by the path of taskq.celery, the others would load each of its modules a second time.
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds ``celery`` and its submodules, as far as ``taskq.celery`` has them."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != _CELERY and not fullname.startswith(f"{_CELERY}."):
            return None
        if importlib.util.find_spec(_ours(fullname)) is None:
            return None  # and nobody else finds it
        return ModuleSpec(fullname, _Loader(), is_package=False)


class _Loader(Loader):
    """Loads the module under its own name, so that there is one object for both names."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(_ours(spec.name))
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import has put that of the other name there


def _ours(fullname: str) -> str:
    return f"taskq.{fullname}"


def too_early(app_configs: Sequence[AppConfig]) -> Iterator[str]:
    """The files of the apps before ``taskq`` that imported ``celery`` when it could not be found.

    app_configs: all of them, in their order. It reads the files of the modules that Django imports
    first, and runs nothing.
    """
    for config in app_configs:
        if config.name == "taskq":
            return
        for name in _EARLY:
            path = Path(config.path) / name
            if path.is_file() and _imports_celery(path):
                yield str(path)


def _imports_celery(path: Path) -> bool:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return any(name.partition(".")[0] == _CELERY for name in names)
