from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BeatConfig(AppConfig):
    name = "taskq.contrib.beat"
    label = "taskq_beat"
    verbose_name = _("Periodic tasks")
    default_auto_field = "django.db.models.BigAutoField"
