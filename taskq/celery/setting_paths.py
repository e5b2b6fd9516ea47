"""What a setting of Celery's names by its path."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string


def imported(setting: str, path: str) -> Any:
    """What a path in a setting leads to, written with a dot or Celery's colon.

    Raises ImproperlyConfigured, naming the setting, when it cannot be imported.
    """
    try:
        return import_string(path.replace(":", "."))
    except ImportError as error:
        raise ImproperlyConfigured(
            f"{setting} names {path!r}, which cannot be imported: {error}"
        ) from error
