"""The settings of an app, and where they are read from."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from taskq.celery.conf import Conf


class AppSettings:
    """A part of :class:`taskq.celery.app.base.Celery`."""

    _conf: Conf

    @property
    def conf(self) -> Conf:
        """Its settings, by Celery's names."""
        return self._conf

    @conf.setter
    def conf(self, settings: Mapping[str, Any]) -> None:
        self._conf.update(settings)

    def config_from_object(
        self,
        obj: Any,
        silent: bool = False,
        force: bool = False,
        namespace: str | None = None,
    ) -> None:
        """Read settings from an object, a dict or the path of one.

        Args:
            obj: Such as ``"django.conf:settings"``.
            silent: Leave it out if it cannot be imported.
            force: Ignored: it is read at once.
            namespace: How the names begin there, such as ``CELERY``.

        Raises:
            ImproperlyConfigured: It cannot be imported.
        """
        try:
            self._conf.read_from(obj, namespace)
        except ImproperlyConfigured:
            if not silent:
                raise

    def config_from_envvar(
        self, variable_name: str, silent: bool = False, force: bool = False
    ) -> bool:
        """Read settings from the module that an environment variable names. Returns whether it
        names one.

        Raises:
            ImproperlyConfigured: It names none, and ``silent`` is False.
        """
        path = os.environ.get(variable_name)
        if not path:
            if silent:
                return False
            raise ImproperlyConfigured(
                f"config_from_envvar() reads {variable_name}, which is not set: set it to the path "
                "of a module"
            )
        self.config_from_object(path, silent=silent, force=force)
        return True

    def add_defaults(self, fun: Any) -> None:
        """Settings for names that are not given, as a dict or a function that returns one."""
        found = fun() if callable(fun) else fun
        for name, value in found.items():
            if name not in self.conf:
                self.conf[name] = value

    @property
    def timezone(self) -> datetime.tzinfo:
        """Django's time zone."""
        return timezone.get_default_timezone()

    def now(self) -> datetime.datetime:
        """The time, in Django's time zone."""
        return timezone.localtime(timezone.now(), self.timezone)

    def uses_utc_timezone(self) -> bool:
        """Whether Django's time zone is UTC."""
        return timezone.get_default_timezone_name() == "UTC"
