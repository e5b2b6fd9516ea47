"""Finding the tasks: the ``tasks.py`` of each installed app, and the modules of ``IMPORTS``.

The site and the pools do this when they start. A module that cannot be imported is an error of
the system checks, and no pool starts without it. ``migrate`` and the site still run, because
they may be needed to repair the module.
"""

from __future__ import annotations

import importlib
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.apps import apps
from django.conf import settings as django_settings
from django.utils.autoreload import BaseReloader, autoreload_started
from django.utils.module_loading import module_has_submodule

from taskq import conf, printable, tracebacks

log = logging.getLogger("taskq")


@dataclass(frozen=True)
class Broken:
    """A module that cannot be imported. error: the reason and its place, in one line."""

    module: str
    error: str

    def __str__(self) -> str:
        return f"{self.module} cannot be imported: {self.error}"


_broken: list[Broken] = []
#: Further modules that define tasks, each list made when its turn comes.
_more: list[Callable[[], Iterable[str]]] = []
#: What is called once all are found.
_then: list[Callable[[], object]] = []
_is_done = False


def look_also(modules: Callable[[], Iterable[str]]) -> None:
    """Import these modules too, when the apps are loaded: now, if they are."""
    _more.append(modules)
    if _is_done:
        _import(modules())


def when_found(call: Callable[[], object]) -> None:
    """Call this when all tasks are found: now, if they are. It must not raise."""
    _then.append(call)
    if _is_done:
        call()


def broken() -> list[Broken]:
    """The modules that could not be imported; their tasks are not known in this process."""
    return list(_broken)


def discover() -> None:
    """Import the modules that define tasks, and note the ones that cannot be imported."""
    global _is_done
    _broken.clear()
    _import((*_of_apps(), *_of_settings()))
    for modules in _more:  # an imported module may add to it
        _import(modules())
    if _broken:
        autoreload_started.connect(_watch_for_a_mend)
    _is_done = True
    for call in _then:
        call()


def _import(modules: Iterable[str]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # the module's own code may raise anything
            _broken.append(Broken(module, _in_a_line(error)))
            # A web server runs no checks, so the log is the only place that tells.
            log.error("%s; no pool starts until it can", _broken[-1])


def _watch_for_a_mend(sender: BaseReloader, **kwargs: object) -> None:
    """Make Django's runserver watch the apps' files: by itself it watches imported files only."""
    for app in apps.get_app_configs():
        sender.watch_dir(app.path, "**/*.py")


def _of_apps() -> Iterator[str]:
    for app in apps.get_app_configs():
        if app.module is not None and module_has_submodule(app.module, "tasks"):
            yield f"{app.name}.tasks"


def _of_settings() -> Iterator[str]:
    if not conf.problems(getattr(django_settings, "TASKQ", {})):  # else E001 says so
        yield from conf.settings().imports


def _in_a_line(error: Exception) -> str:
    text = "".join(traceback.format_exception_only(error)[-1:]).strip()
    if isinstance(error, SyntaxError) and error.filename:
        text += f" ({error.filename}, line {error.lineno})"
    else:
        # Without this file and the import machinery.
        frames = traceback.extract_tb(error.__traceback__)[2:]
        frames = [each for each in frames if each.filename[0] != "<"]
        # The site's own line: an error of a task's option, say, is raised within taskq.
        own = [each for each in frames if not tracebacks.is_library(each.filename)]
        for each in (own or frames)[-1:]:
            text += f" ({each.filename}, line {each.lineno})"
    return printable.in_a_line(text)
