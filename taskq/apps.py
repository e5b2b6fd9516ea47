"""The Django app: checks, and finding the tasks."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TaskqConfig(AppConfig):
    name = "taskq"
    label = "taskq"
    verbose_name = _("Task queue")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from taskq import checks, discovery  # noqa: F401  checks register themselves

        discovery.discover()
