"""The Django project of the tests: that of stress, with a lab of tasks that misbehave."""

import importlib.util
import json
import os
import sys

import django

from stress.project.settings import *  # noqa: F403
from stress.project.settings import INSTALLED_APPS as STRESS_APPS

INSTALLED_APPS = [*STRESS_APPS, "taskq.contrib.beat", "tests.project.lab"]
if django.VERSION >= (6, 0):
    INSTALLED_APPS += ["tests.project.native"]
elif importlib.util.find_spec("django_tasks"):
    INSTALLED_APPS += ["django_tasks", "tests.project.native"]
TASKS = {"default": {"BACKEND": "taskq.backend.TaskqBackend", "QUEUES": ["default", "mail"]}}

TASKQ = {}
if os.environ.get("TASKQ_TEST_BREAK_WORKERS"):
    # As code that only breaks in the fork.
    os.register_at_fork(
        after_in_child=lambda: setattr(sys.modules["taskq.worker.worker"], "Cleanup", None)
    )
# For the tests: TASKQ_LISTEN=0 and so on, as JSON or plain text.
_KEYS = (
    "UNKNOWN_TASK_TTL SERIALIZER LISTEN MAX_LOSSES SCHEDULE CANCEL_GRACE IMPORTS KEEP_FINISHED "
    "STATISTICS"
)
for _key in _KEYS.split():
    if (_given := os.environ.get(f"TASKQ_{_key}")) is not None:
        try:
            TASKQ[_key] = json.loads(_given)
        except ValueError:
            TASKQ[_key] = _given
if os.environ.get("TASKQ_TEST_DEBUG"):
    DEBUG = True
# A second way to the database, with or without psycopg's pool.
if os.environ.get("TASKQ_TEST_SECOND"):
    DATABASES["second"] = DATABASES["default"].copy()  # noqa: F405
if os.environ.get("TASKQ_TEST_PERSISTENT"):
    DATABASES["default"]["CONN_MAX_AGE"] = None  # noqa: F405
if _pool := os.environ.get("TASKQ_TEST_POOLED"):
    for _database in DATABASES.values():  # noqa: F405
        _options = {**_database.get("OPTIONS", {}), "pool": json.loads(_pool)}
        _database["OPTIONS"] = _options
