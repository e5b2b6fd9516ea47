from django_taskq.celery import shared_task

from stress.bench import work
from stress.bench.queue import TASKS

tasks = {name: shared_task(getattr(work, name)) for name in TASKS}
# A task is imported by the name of its function, so the decorated ones must be found there.
globals().update(tasks)
