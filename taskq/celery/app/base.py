"""``Celery``: the app object, on what this process knows anyway."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    TypeVar,
    overload,
)

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from taskq.celery import apps, decorator, discovering, naming
from taskq.celery.app.app_sending import AppSending
from taskq.celery.app.app_settings import AppSettings
from taskq.celery.app.preparation import Configured, Preparation
from taskq.celery.celery_signal import CelerySignal
from taskq.celery.conf import Conf
from taskq.celery.result import GroupResult, ResultSet
from taskq.celery.task import Task as CeleryTask
from taskq.celery.task_index import TaskIndex
from taskq.task import discovery

if TYPE_CHECKING:
    from taskq.celery.app.control import Control

P = ParamSpec("P")
R = TypeVar("R")

#: What an app of Celery's has and this one lacks, with what to use instead.
_INSTEAD = {
    **dict.fromkeys(
        "amqp broker_connection connection connection_for_read connection_for_write "
        "connection_or_acquire pool producer_pool producer_or_acquire select_queues".split(),
        "there is no broker: tasks are rows of the database",
    ),
    "backend": "results are in the database: AsyncResult(id), or the models of taskq",
    **dict.fromkeys("start worker_main Worker WorkController".split(), "run manage.py taskq_pool"),
    "Beat": "pools send what is periodic: nothing is to be run",
    **dict.fromkeys("events log".split(), "listen to the signals, or read the log"),
    "steps": "there are no bootsteps: listen to worker_init or worker_process_init",
    "user_options": "write a management command",
    "loader": "modules with tasks are the apps' tasks.py and TASKQ['IMPORTS']",
    "setup_security": "set TASKQ['SERIALIZER']; pickles are signed by SECRET_KEY",
}


class Celery(AppSettings, AppSending):
    """An app as in Celery: settings, decorators and ways to send, without a broker.

    Args:
        main: The name that stands for a module which was started as a program.
        include: Modules that define tasks.
        set_as_current: Make it the current app.
        config_source: What :meth:`config_from_object` takes.
        namespace: How the names of the settings begin there.
        changes: Settings, as ``conf.update()`` takes them.
        task_cls: The base class of its tasks, or its path.
        strict_typing: Check the arguments of a call when it is sent, for tasks that do not say
            ``typing`` themselves.
        **settings: ``broker``, ``backend`` and others, which only ``conf`` shows.
    """

    GroupResult = GroupResult
    ResultSet = ResultSet
    #: The base class of the tasks of a subclass.
    task_cls: Any = CeleryTask

    def __init__(
        self,
        main: str | None = None,
        *,
        include: Sequence[str] | None = None,
        set_as_current: bool = True,
        config_source: Any = None,
        namespace: str | None = None,
        changes: Mapping[str, Any] | None = None,
        task_cls: Any = None,
        strict_typing: bool = True,
        **settings: Any,
    ) -> None:
        self.main = main
        self.strict_typing = strict_typing
        self.on_configure = CelerySignal("app.on_configure")
        self.on_after_configure = CelerySignal("app.on_after_configure")
        self.on_after_finalize = CelerySignal("app.on_after_finalize")
        self.on_after_fork = CelerySignal("app.on_after_fork")
        self.tasks = TaskIndex()
        self.finalized = False
        if task_cls is not None:
            self.task_cls = task_cls
        self._preparation = Preparation(self)
        self._conf = Conf(self._preparation.changed)
        apps.add(self)
        if set_as_current:
            self.set_current()
        if config_source is not None:
            self.config_from_object(config_source, namespace=namespace)
        for name, value in (("broker_url", "broker"), ("result_backend", "backend")):
            if settings.get(value) is not None:
                self.conf[name] = settings[value]
        if include:
            self.conf["include"] = tuple(include)
        if changes:
            self.conf.update(changes)
        discovery.look_also(self._included)
        self.on_init()
        discovery.when_found(self.finalize)

    def on_init(self) -> None:
        """Called once it is made. A subclass may do more here."""

    def set_current(self) -> None:
        """Make it the current app of this process."""
        apps.set_current(self)

    set_default = set_current

    def close(self) -> None:
        """Nothing to do: it holds nothing open."""

    def __enter__(self) -> Celery:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Tasks

    @property
    def Task(self) -> type[CeleryTask[..., Any]]:
        """The base class of its tasks."""
        kind = self.task_cls
        if isinstance(kind, str):
            self.task_cls = kind = import_string(kind.replace(":", "."))
        return kind  # type: ignore[no-any-return]

    @Task.setter
    def Task(self, kind: type[CeleryTask[..., Any]]) -> None:
        self.task_cls = kind

    @overload
    def task(self, function: Callable[P, R], /) -> CeleryTask[P, R]: ...
    @overload
    def task(
        self, *, bind: Literal[True], name: str | None = None, **options: Any
    ) -> Callable[[Callable[Concatenate[Any, P], R]], CeleryTask[P, R]]: ...
    @overload
    def task(
        self, *, name: str | None = None, **options: Any
    ) -> Callable[[Callable[P, R]], CeleryTask[P, R]]: ...
    def task(self, *args: Any, **options: Any) -> Any:
        """The decorator: see :func:`taskq.celery.shared_task`."""
        if len(args) > 1:
            raise TypeError(f"@app.task() takes a function and options by name, and got {args!r}")
        return decorator.decorator(args[0] if args else None, options, self)

    def register_task(self, task: Any, **options: Any) -> Any:
        """Make a task of a class with a method ``run``, or of an instance of it. Returns the task.

        Raises:
            TypeError: It has no such method, or an option is wrong.
        """
        made = task() if isinstance(task, type) else task
        decorator.register(made, self, options)
        return made

    def gen_task_name(self, name: str, module: str) -> str:
        """The name of a task whose decorator gives none."""
        return naming.task_name(name, module, self.main)

    def autodiscover_tasks(
        self,
        packages: Iterable[str] | Callable[[], Iterable[str]] | None = None,
        related_name: str | None = "tasks",
        force: bool = False,
    ) -> None:
        """Import a module of each package, when Django has loaded its apps. The ``tasks.py`` of the
        installed apps are found anyway.

        Args:
            packages: Their names. By default the installed apps.
            related_name: The name of the module. None is the package itself.
            force: Ignored: it is done as early as possible.
        """
        discovery.look_also(discovering.modules(packages, related_name))

    def finalize(self, auto: bool = False) -> None:
        """Settle the options of its tasks, once all are known. It is called by itself."""
        if not self.finalized:
            from taskq.schedules import celery_form  # which needs models

            self.finalized = True
            celery_form.add_source(self._beat_schedule, lambda: self.conf.given().get("timezone"))
            self.on_configure.send(self)
            self.on_after_configure.send(self, source=self.conf)
            self._preparation.changed()
            self.on_after_finalize.send(self)

    @property
    def configured(self) -> bool:
        """Whether its settings are read."""
        return self.finalized

    def settings_of(self, task: Any) -> Configured | None:
        """What the settings say of a task; None for nothing."""
        return self._preparation.of(task)

    def router(self, task: Any, explicit: Collection[str]) -> Any:
        """What adds the terms of routes to a call of a task; None for nothing.

        explicit: the names of terms that the task gives itself.
        """
        return self._preparation.router(task, frozenset(explicit))

    def problems(self) -> list[str]:
        """What is wrong with its settings, for the system checks."""
        return self._preparation.problems()

    def _beat_schedule(self) -> Mapping[str, Any]:
        """The entries of ``conf.beat_schedule`` that are not Django's setting, which counts
        anyway."""
        found: Mapping[str, Any] = self.conf.beat_schedule
        setting = getattr(django_settings, "CELERY_BEAT_SCHEDULE", None)
        return {} if found is setting else found

    def _included(self) -> list[str]:
        return [*self.conf["include"], *self.conf["imports"]]

    @functools.cached_property
    def control(self) -> Control:
        """Commands to the tasks and queues of all pools."""
        from taskq.celery.app.control import Control  # which needs models

        return Control(self)

    @property
    def current_task(self) -> Any:
        """The task that runs, as ``taskq.celery.current_task``; None for none."""
        from taskq.celery.current import running_task

        return running_task()

    current_worker_task = current_task

    def __getattr__(self, name: str) -> Any:
        if name in _INSTEAD:
            raise AttributeError(f"the app has no {name!r} here: {_INSTEAD[name]}")
        raise AttributeError(f"the app has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<Celery {self.main or '__main__'}>"


def app_or_default(app: Any = None) -> Any:
    """The app itself, or the current one."""
    return apps.current() if app is None else app


def _note_change(*, setting: str, **kwargs: object) -> None:
    """In tests: settings of Django's have changed, of which an app may have read some."""
    if "CELERY" in setting or "BROKER" in setting:
        for app in apps.every():
            app.conf.changed()


setting_changed.connect(_note_change)
