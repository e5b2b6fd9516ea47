"""The app of a project that has made none: it has Django's settings ``CELERY_…``."""

from __future__ import annotations

from taskq.celery import apps
from taskq.celery.app.base import Celery


def _default() -> Celery:
    app = Celery("default")
    app.config_from_object("django.conf:settings", namespace="CELERY")
    return app


apps.make_default_by(_default)
apps.current()  # so that its settings count, whether somebody names it or not
