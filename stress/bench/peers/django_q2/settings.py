import os

from stress.bench.peers.django_settings import *  # noqa: F403
from stress.bench.peers.django_settings import INSTALLED_APPS as PEER_APPS

INSTALLED_APPS = [*PEER_APPS, "django_q"]
Q_CLUSTER = {
    "orm": "default",
    "workers": int(os.environ.get("BENCH_CONCURRENCY", "1")),
    "timeout": 60,
    "retry": 120,
}
