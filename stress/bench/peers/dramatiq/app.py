from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from stress.bench import work
from stress.bench.queue import TASKS

dramatiq.set_broker(RedisBroker(url=os.environ.get("REDIS_URL")))
tasks = {name: dramatiq.actor(getattr(work, name), actor_name=name) for name in TASKS}
