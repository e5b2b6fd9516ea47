"""The project of the tests, with a keeper that loses patience with runs at once: for races."""

from django.apps import AppConfig

from tests.project.settings import *  # noqa: F403
from tests.project.settings import INSTALLED_APPS as OTHERS


class HastyConfig(AppConfig):
    name = "tests.project.hasty"

    def ready(self):
        from taskq.keeper import overrun

        overrun.OVERRUN, overrun.SETTLE, overrun.LOOK = 0.002, 0.002, 0.001


INSTALLED_APPS = [*OTHERS, "tests.project.hasty.HastyConfig"]
