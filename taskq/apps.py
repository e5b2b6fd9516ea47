"""The Django app: it registers the checks and finds the tasks."""

import sys

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from taskq import celery_alias, own_packages

own_packages.demand_pool()
# Here, as the apps after this one may import it: Django has imported nothing of theirs yet.
celery_alias.install()

if sys.argv[1:2] in (["taskq_pool"], ["taskq"]):
    # As early as possible: loading a large site takes seconds, and a TERM may come meanwhile.
    from pool import signals

    signals.note_early()


class TaskqConfig(AppConfig):
    name = "taskq"
    label = "taskq"
    verbose_name = _("Task queue")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from taskq import checks  # noqa: F401  they register themselves
        from taskq.task import discovery

        discovery.discover()
