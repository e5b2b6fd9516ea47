"""Celery's app, under the paths that it has there."""

from taskq.celery.app.base import Celery, app_or_default
from taskq.celery.decorator import shared_task

__all__ = ["Celery", "app_or_default", "shared_task"]
