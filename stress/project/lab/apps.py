"""The chaos lab, under a label of its own: the tests' project has a lab too."""

from django.apps import AppConfig


class LabConfig(AppConfig):
    name = "stress.project.lab"
    label = "stress_lab"
    default_auto_field = "django.db.models.BigAutoField"
