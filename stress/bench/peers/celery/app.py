from __future__ import annotations

import os

from celery import Celery

from stress.bench import work
from stress.bench.queue import TASKS

app = Celery("bench", broker=os.environ.get("REDIS_URL"))
tasks = {name: app.task(getattr(work, name), name=name) for name in TASKS}
