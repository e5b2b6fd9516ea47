"""The names of Celery's settings: those with a meaning here, and those without."""

from __future__ import annotations

#: They have the meaning that they have in Celery.
HONORED = frozenset(
    "task_always_eager task_eager_propagates task_routes task_annotations task_default_queue "
    "task_default_priority task_ignore_result task_time_limit task_soft_time_limit imports include "
    "beat_schedule".split()
)

#: They mean nothing, and Celery's own default of them is what always holds here. So a site that
#: sets them loses nothing and gets no warning.
AS_EVER = frozenset(
    "task_acks_late task_reject_on_worker_lost task_track_started enable_utc result_extended "
    "worker_hijack_root_logger worker_send_task_events task_send_sent_event".split()
)

#: How the others begin.
PREFIXES = (
    "accept_", "arangodb_", "azureblockblob_", "beat_", "broker_", "cache_", "cassandra_",
    "control_", "cosmosdbsql_", "couchbase_", "database_", "elasticsearch_", "event_", "events_",
    "gcs_", "mongodb_", "override_", "redis_", "result_", "s3_", "security_", "task_", "worker_",
)  # fmt: skip
_OTHERS = frozenset(("timezone", *HONORED, *AS_EVER))

#: The names that Celery gave to some settings before its version 4.
OLD = {
    "CELERY_ALWAYS_EAGER": "task_always_eager",
    "CELERY_EAGER_PROPAGATES": "task_eager_propagates",
    "CELERY_EAGER_PROPAGATES_EXCEPTIONS": "task_eager_propagates",
    "CELERY_ROUTES": "task_routes",
    "CELERY_ANNOTATIONS": "task_annotations",
    "CELERY_DEFAULT_QUEUE": "task_default_queue",
    "CELERY_IGNORE_RESULT": "task_ignore_result",
    "CELERYD_TASK_TIME_LIMIT": "task_time_limit",
    "CELERYD_TASK_SOFT_TIME_LIMIT": "task_soft_time_limit",
    "CELERYBEAT_SCHEDULE": "beat_schedule",
    "CELERY_IMPORTS": "imports",
    "CELERY_INCLUDE": "include",
    "CELERY_TIMEZONE": "timezone",
    "CELERY_RESULT_BACKEND": "result_backend",
    "CELERY_TASK_RESULT_EXPIRES": "result_expires",
    "CELERY_ACCEPT_CONTENT": "accept_content",
    "CELERY_ENABLE_UTC": "enable_utc",
    "CELERYD_CONCURRENCY": "worker_concurrency",
    "CELERYD_PREFETCH_MULTIPLIER": "worker_prefetch_multiplier",
    "CELERYD_MAX_TASKS_PER_CHILD": "worker_max_tasks_per_child",
    "BROKER_URL": "broker_url",
}


def is_known(name: str) -> bool:
    """Whether Celery has a setting of this name, as far as its beginning tells."""
    return name in _OTHERS or name.startswith(PREFIXES)


def means_nothing(name: str) -> bool:
    """Whether Celery's setting is without a meaning here, so that a site should know."""
    return is_known(name) and name not in HONORED | AS_EVER | {"timezone"}


def normalized(name: str) -> str:
    """The name as Celery has it today, such as ``task_routes`` for ``CELERY_ROUTES``."""
    if name in OLD:
        return OLD[name]
    lower = name.lower() if name.isupper() else name
    plain = lower.removeprefix("celery_")
    return plain if is_known(plain) else lower
