"""The project of the demo, with the tasks of the bench."""

from stress.project.settings import *  # noqa: F403
from stress.project.settings import INSTALLED_APPS as STRESS_APPS

INSTALLED_APPS = [*STRESS_APPS, "stress.bench.load"]
TASKS = {"default": {"BACKEND": "taskq.backend.TaskqBackend"}}
