"""The project of the demo without taskq, for peers that are Django apps."""

from stress.project.settings import *  # noqa: F403
from stress.project.settings import INSTALLED_APPS as STRESS_APPS

INSTALLED_APPS = [app for app in STRESS_APPS if app not in ("taskq", "stress.project.shop")]

ROOT_URLCONF = "stress.bench.peers.urls"
