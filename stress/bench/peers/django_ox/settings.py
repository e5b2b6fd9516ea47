from stress.bench.peers.django_settings import *  # noqa: F403
from stress.bench.peers.django_settings import DATABASES as ONCE
from stress.bench.peers.django_settings import INSTALLED_APPS as PEER_APPS

INSTALLED_APPS = [*PEER_APPS, "django_ox"]
TASKS = {"default": {"BACKEND": "django_ox.backend.OxBackend"}}
DATABASES = {"default": {**ONCE["default"], "CONN_MAX_AGE": 600}}
