"""What becomes of Celery's settings, by their names of today in lower case."""

from __future__ import annotations

import re

from taskq.celery_check.facts.fact import Fact, differs, idle, moves, rewrite

_BROKER = "there is no broker"
_RESULTS = "results are in the database"
_TICKS = "every pool sends the ticks, each once"
_LOGGING = "set Django's LOGGING"
_DAEMON = "let systemd or a container do it"

#: By the whole name.
SETTINGS: dict[str, Fact] = {
    **moves(
        "task_always_eager task_eager_propagates task_routes task_annotations task_default_queue "
        "task_ignore_result task_time_limit task_soft_time_limit imports include beat_schedule "
        "timezone"
    ),
    **rewrite("result_expires", 'TASKQ["RESULT_TTL"], and "FAILED_TTL" for failed tasks'),
    **rewrite("worker_concurrency", 'TASKQ["CONCURRENCY"]'),
    **rewrite("worker_max_tasks_per_child", 'TASKQ["MAX_TASKS_PER_CHILD"]'),
    **rewrite("worker_max_memory_per_child", 'TASKQ["MAX_MEMORY_PER_CHILD"]'),
    **rewrite(
        "worker_soft_shutdown_timeout worker_enable_soft_shutdown_on_idle", 'TASKQ["DRAIN_TIMEOUT"]'
    ),
    **rewrite(
        "task_default_rate_limit", "there are no rate limits: a queue that one small pool serves"
    ),
    **differs("task_default_priority", "priorities go from -100 to 100, and higher is sooner"),
    **idle("enable_utc", "times are stored in UTC, and shown in Django's TIME_ZONE"),
    **differs(
        "task_serializer result_serializer accept_content result_accept_content",
        'arguments are JSON; for pickle: TASKQ["SERIALIZER"] = "pickle"',
    ),
    **idle("result_backend", _RESULTS),
    **idle("beat_scheduler", _TICKS),
    **idle("task_queues", "nothing is declared: a queue is a name, and -Q says what is served"),
}

#: By the beginning, where the whole name is not there. The first that fits counts.
PREFIXES: dict[str, Fact] = {
    **idle("broker_ control_ event_ events_ security_ task_publish_ task_protocol", _BROKER),
    **idle("beat_", _TICKS),
    **idle(
        "result_ override_backends database_ redis_ cache_ cassandra_ s3_ azureblockblob_ gcs_ "
        "couchbase_ arangodb_ mongodb_ cosmosdbsql_ elasticsearch_",
        _RESULTS,
    ),
    **idle(
        "task_acks_ task_reject_on_worker_lost task_track_started task_store_errors", "always so"
    ),
    **idle(
        "task_default_ task_create_missing_ task_queue_ task_inherit_parent_priority",
        "nothing is declared: a queue is a name, and priorities always work",
    ),
    **idle("task_send_sent_event worker_send_task_events", "signals and figures are always there"),
    **idle("worker_hijack_root_logger worker_log_ worker_task_log_", _LOGGING),
    **idle("worker_redirect_stdouts worker_logfile", _LOGGING),
    **idle("worker_pidfile worker_uid worker_gid worker_umask worker_executable", _DAEMON),
    **idle(
        "worker_ task_compression task_remote_tracebacks task_repr_maxlevels task_allow_error_cb "
        "task_store_eager_result task_retry_on_worker_lost",
        "nothing to set",
    ),
}

#: Names of Celery 3 that Celery 5 still reads, and those of today.
_OLD = {
    "always_eager": "task_always_eager",
    "eager_propagates_exceptions": "task_eager_propagates",
    "routes": "task_routes",
    "queues": "task_queues",
    "annotations": "task_annotations",
    "acks_late": "task_acks_late",
    "track_started": "task_track_started",
    "ignore_result": "task_ignore_result",
    "default_queue": "task_default_queue",
    "default_exchange": "task_default_exchange",
    "default_routing_key": "task_default_routing_key",
    "task_result_expires": "result_expires",
    "send_task_error_emails": "task_send_sent_event",
    "send_events": "worker_send_task_events",
    "disable_rate_limits": "worker_disable_rate_limits",
    "create_missing_queues": "task_create_missing_queues",
}
#: A setting as Django's settings module names it.
_NAME = re.compile(r"(CELERY|CELERYD|CELERYBEAT|BROKER)_([A-Z0-9_]+)")


def of_django(name: str) -> tuple[str, Fact] | None:
    """The setting of Celery that a name in Django's settings is, and its fact. None for another."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    prefix, rest = found[1], found[2].lower()
    if prefix == "CELERYD":
        rest = f"worker_{rest.removeprefix('worker_')}"
        rest = rest.replace("worker_task_", "task_") if rest.endswith("_limit") else rest
    elif prefix == "CELERYBEAT":
        rest = f"beat_{rest}"
    elif prefix == "BROKER":
        rest = f"broker_{rest}"
    rest = _OLD.get(rest, rest)
    fact = fact_of(rest)
    return None if fact is None else (rest, fact)


def fact_of(name: str) -> Fact | None:
    """The fact of a setting by its name of today. None for one that is not Celery's."""
    if (whole := SETTINGS.get(name)) is not None:
        return whole
    return next((fact for prefix, fact in PREFIXES.items() if name.startswith(prefix)), None)
