import os

from stress.bench.peers.django_settings import *  # noqa: F403
from stress.bench.peers.django_settings import DATABASES as ONCE
from stress.bench.peers.django_settings import INSTALLED_APPS as PEER_APPS

INSTALLED_APPS = [*PEER_APPS, "dj_queue"]
DATABASE_ROUTERS = ["dj_queue.routers.DjQueueRouter"]
WORKERS = {"queues": "*", "threads": 1, "processes": int(os.environ.get("BENCH_WORKERS", "1"))}
TASKS = {
    "default": {
        "BACKEND": "dj_queue.backend.DjQueueBackend",
        "QUEUES": [],
        "OPTIONS": {"workers": [WORKERS]},
    }
}
DATABASES = {"default": {**ONCE["default"], "CONN_MAX_AGE": 60}}
