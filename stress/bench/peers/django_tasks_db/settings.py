from importlib.util import find_spec

from stress.bench.peers.django_settings import *  # noqa: F403
from stress.bench.peers.django_settings import INSTALLED_APPS as PEER_APPS

# Before Django 6 its tasks are an app of their own.
OLD = [] if find_spec("django.tasks") else ["django_tasks"]
INSTALLED_APPS = [*PEER_APPS, *OLD, "django_tasks_db"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
