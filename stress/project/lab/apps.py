"""The lab of chaos. Its label differs from that of the lab in the tests' project."""

from django.apps import AppConfig


class LabConfig(AppConfig):
    name = "stress.project.lab"
    label = "stress_lab"
    default_auto_field = "django.db.models.BigAutoField"
