from __future__ import annotations

import os

from huey import RedisHuey

from stress.bench import work
from stress.bench.queue import TASKS

huey = RedisHuey("bench", url=os.environ.get("REDIS_URL"))
tasks = {name: huey.task(name=name)(getattr(work, name)) for name in TASKS}
