"""``app.conf``: Celery's settings of an app, wherever they were given."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from taskq import limits
from taskq.celery import setting_names


class Conf(MutableMapping[str, Any]):
    """Settings by Celery's names, as attributes and as items. What code has set wins over what was
    read from an object. A name that Celery does not have and that nobody has set is unknown.

    changed: called after each change.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.__dict__.update(_set={}, _source=None, _namespace="", _changed=changed)

    def read_from(self, source: Any, namespace: str | None) -> None:
        """Read the settings from an object, a dict, or the path of one.

        namespace: how the names begin there, such as ``CELERY`` for ``CELERY_TASK_ROUTES``.

        Raises ImproperlyConfigured for a path that cannot be imported.
        """
        if isinstance(source, str):
            source = _imported(source)
        prefix = f"{namespace.rstrip('_')}_" if namespace else ""
        self.__dict__.update(_source=source, _namespace=prefix)
        self._changed()

    def given(self) -> dict[str, Any]:
        """All settings that somebody has given, by Celery's names."""
        return {**self._read(), **self._set}

    def named(self) -> dict[str, str]:
        """As :meth:`given`, but the names by which the source has them."""
        found = {setting_names.normalized(each): each for each in self._set}
        for name in _names(self._source):
            key = self._key(name)
            if key is not None:
                found[key] = name
        return found

    def changed(self) -> None:
        """Say that what was read may have changed."""
        self._changed()

    def elsewhere(self, name: str) -> Any:
        """A setting that was not given as Django's ``CELERY_…``; None for none."""
        found = self.named().get(name)
        return None if found in (None, f"CELERY_{name.upper()}") else self[name]

    def _key(self, name: str) -> str | None:
        """Celery's name of what the source has; None for what is none of Celery's. Without a
        namespace only old names are in capitals: the others there are Django's, or the site's."""
        if self._namespace:
            found = name.startswith(self._namespace)
            return setting_names.normalized(name[len(self._namespace) :]) if found else None
        if name.islower():
            return name if setting_names.is_known(name) else None
        return setting_names.OLD.get(name)

    def _read(self) -> dict[str, Any]:
        found = {}
        for name in _names(self._source):
            key = self._key(name)
            if key is not None:
                found[key] = _value(self._source, name)
        return found

    def __getitem__(self, name: str) -> Any:
        key = setting_names.normalized(name)
        if key in self._set:
            return self._set[key]
        read = self._read()
        if key in read:
            return read[key]
        if key in _DEFAULTS:
            return self._set.setdefault(key, {}) if key == "beat_schedule" else _DEFAULTS[key]()
        if name in _names(self._source):  # of the site's own
            return _value(self._source, name)
        if setting_names.is_known(key):
            return None
        raise KeyError(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self._set[setting_names.normalized(name)] = value
        self._changed()

    def __delitem__(self, name: str) -> None:
        del self._set[setting_names.normalized(name)]
        self._changed()

    def __iter__(self) -> Iterator[str]:
        return iter(self.given())

    def __len__(self) -> int:
        return len(self.given())

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"Celery has no setting {name!r}, and none was given") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set settings, as ``dict.update``."""
        for name, value in dict(*args, **kwargs).items():
            self._set[setting_names.normalized(name)] = value
        self._changed()

    def humanize(self, with_defaults: bool = False, censored: bool = True) -> str:
        """The settings that were given, one a line. ``censored`` leaves out their values."""
        given = sorted(self.given().items())
        return "\n".join(name if censored else f"{name}: {value!r}" for name, value in given)

    def __repr__(self) -> str:
        return f"<Conf of {len(self)} settings>"


_DEFAULTS: Mapping[str, Callable[[], Any]] = {
    "beat_schedule": dict,
    "imports": tuple,
    "include": tuple,
    "task_always_eager": lambda: False,
    "task_eager_propagates": lambda: False,
    "task_default_queue": lambda: limits.DEFAULT_QUEUE,
    "task_default_priority": lambda: 0,
    "task_ignore_result": lambda: True,
    "timezone": lambda: django_settings.TIME_ZONE,
    "enable_utc": lambda: True,
    "task_acks_late": lambda: True,
    "task_reject_on_worker_lost": lambda: True,
    "task_track_started": lambda: True,
    "task_serializer": lambda: "json",
    "result_serializer": lambda: "json",
    "accept_content": lambda: ["json"],
}


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            if name or "." not in module:
                raise
            module, _, name = module.rpartition(".")  # an attribute of a module
            found = importlib.import_module(module)
        return getattr(found, name) if name else found
    except (ImportError, AttributeError) as error:
        raise ImproperlyConfigured(
            f"config_from_object() names {path!r}, which cannot be imported: {error}"
        ) from error


def _names(source: Any) -> list[str]:
    if source is None:
        return []
    names = source if isinstance(source, Mapping) else dir(source)
    return [name for name in names if isinstance(name, str) and not name.startswith("_")]


def _value(source: Any, name: str) -> Any:
    return source[name] if isinstance(source, Mapping) else getattr(source, name)
