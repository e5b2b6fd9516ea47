"""The demo's project, with the bench's tasks added."""

from stress.project.settings import *  # noqa: F403
from stress.project.settings import INSTALLED_APPS as STRESS_APPS

INSTALLED_APPS = [*STRESS_APPS, "stress.bench.load"]
