"""The project of stress, with an app that takes out the protection that
STRESS_SABOTAGE names."""

from stress.project.settings import *  # noqa: F403
from stress.project.settings import INSTALLED_APPS as STRESS_APPS

INSTALLED_APPS = [*STRESS_APPS, "stress.prove"]
