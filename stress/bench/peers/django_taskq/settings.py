from stress.bench.peers.django_settings import *  # noqa: F403
from stress.bench.peers.django_settings import INSTALLED_APPS as PEER_APPS

INSTALLED_APPS = [*PEER_APPS, "django_taskq"]
