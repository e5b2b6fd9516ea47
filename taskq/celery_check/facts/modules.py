"""What becomes of Celery's modules and the names in them."""

from __future__ import annotations

from collections.abc import Iterator

from taskq.celery_check.facts.fact import (
    INNER,
    MOVES,
    NO_BROKER,
    TESTING,
    WORKER,
    Fact,
    Verdict,
    differs,
    rewrite,
)

#: The names that ``taskq.X`` has where Celery has them in module ``X``.
NAMES: dict[str, str] = {
    "celery": (
        "Celery Task shared_task current_app current_task chain chord chunks group signature "
        "maybe_signature xmap xstarmap uuid app canvas exceptions result schedules signals states "
        "utils"
    ),
    "celery.app": "Celery shared_task app_or_default default_app",
    "celery.app.base": "Celery",
    "celery.app.task": "Task Context",
    "celery.canvas": (
        "Signature chain chord chunks group signature maybe_signature subtask xmap xstarmap"
    ),
    "celery.exceptions": (
        "CeleryError TaskError TaskPredicate Ignore Reject Retry TimeoutError NotRegistered "
        "MaxRetriesExceededError TaskRevokedError ChordError SoftTimeLimitExceeded "
        "TimeLimitExceeded WorkerLostError ImproperlyConfigured OperationalError"
    ),
    "celery.result": (
        "AsyncResult EagerResult GroupResult ResultSet ResultBase allow_join_result "
        "result_from_tuple"
    ),
    "celery.schedules": "crontab schedule solar",
    "celery.signals": (
        "before_task_publish after_task_publish task_prerun task_postrun task_success task_failure "
        "task_retry task_revoked task_received task_rejected task_unknown task_internal_error "
        "worker_init worker_ready worker_process_init worker_process_shutdown worker_shutdown "
        "worker_shutting_down celeryd_init celeryd_after_setup setup_logging after_setup_logger "
        "after_setup_task_logger beat_init beat_embedded_init import_modules"
    ),
    "celery.states": (
        "PENDING RECEIVED STARTED SUCCESS FAILURE REVOKED RETRY IGNORED REJECTED READY_STATES "
        "UNREADY_STATES EXCEPTION_STATES PROPAGATE_STATES ALL_STATES"
    ),
    "celery.utils": "uuid",
    "celery.utils.log": "get_task_logger get_logger",
}

_BEAT = "taskq.models.Schedule has the schedules (docs/how-to/schedules.md)"
_INSPECT = "ask the tables: Task.objects.active(), taskq.overview, manage.py taskq_status"

#: What to write in place of modules, and of single names. The longest that fits counts.
INSTEAD: dict[str, Fact] = {
    **rewrite("celery", INNER),
    **rewrite("celery.bootsteps celery.worker celery.concurrency celery.apps", WORKER),
    **rewrite("celery.app.control celery.app.events celery.events", _INSPECT),
    **rewrite("celery.beat", _BEAT),
    **rewrite("celery.contrib.testing celery.contrib.pytest", TESTING),
    **rewrite("celery.backends celery.app.backends", "results are in the database, by AsyncResult"),
    **rewrite("celery.bin celery.__main__", "the commands are manage.py taskq_*"),
    **rewrite("celery.contrib.abortable", "any task can ask self.is_stopping(), and be cancelled"),
    **rewrite("celery.contrib.django", "delay_on_commit() is on every task: from taskq.celery"),
    **rewrite(
        "celery.contrib.django.task.DjangoTask", "every task has its methods: taskq.celery.Task"
    ),
    **rewrite("celery.task celery.decorators", "Celery 5 has none: use shared_task, app.task"),
    **rewrite("celery.platforms celery.security", "let systemd or a container do it"),
    **rewrite("celery.loaders celery.fixups", "Django loads the site, and no loader is needed"),
    **rewrite("celery.utils.time", "use django.utils.timezone and datetime"),
    **rewrite("celery.signals", "this signal is never sent here: remove its receiver"),
    **rewrite("celery.exceptions", "this is never raised here: remove it"),
    **rewrite("kombu amqp", NO_BROKER),
    **rewrite("kombu.Queue kombu.Exchange kombu.binding", "a queue is a name: queue=, -Q"),
    **rewrite("kombu.serialization", 'arguments are JSON, or TASKQ["SERIALIZER"] = "pickle"'),
    **rewrite("kombu.utils", INNER),
    **rewrite("billiard", "use multiprocessing"),
    **rewrite(
        "billiard.exceptions",
        "from taskq.celery.exceptions import SoftTimeLimitExceeded; a hard limit ends the process",
    ),
    **rewrite("redbeat", _BEAT),
    **rewrite("celery_once celery_singleton", '@shared_task(unique="args")'),
    **rewrite("django_celery_results", "taskq.models.Result, and AsyncResult"),
    **rewrite("celery_progress", "self.set_progress(done, total), and AsyncResult.progress"),
    **differs(
        "gevent eventlet", "a pool has processes only: a task that waits keeps its process busy"
    ),
}

#: Modules of others, and where what they have is here.
COUNTERPARTS: dict[str, str] = {}

#: The top of all modules that matter: only these imports are looked at.
TOPS = frozenset({name.partition(".")[0] for name in (*INSTEAD, *COUNTERPARTS)})


def fact_of(name: str) -> Fact:
    """The fact of a module, or of a name in one, by its dotted path."""
    module, _, last = name.rpartition(".")
    if name in NAMES or last in NAMES.get(module, "").split():
        return MOVES
    if any(each in COUNTERPARTS for each in _shorter(name)):
        return MOVES
    return next(INSTEAD[each] for each in _shorter(name) if each in INSTEAD)


def fact_of_path(text: str) -> Fact | None:
    """The fact of a text that may be a dotted path, such as the target of a patch. None for one
    that names nothing of Celery's: it may be the name of a file."""
    for each in _shorter(text):
        if each == text.partition(".")[0]:
            return None
        if fact_of(each) is MOVES:
            return Fact(Verdict.DIFFERS, f"as a path, it is now {_moved(each)}{text[len(each) :]}")
        if each in INSTEAD:
            return INSTEAD[each]
    return None


def _moved(name: str) -> str:
    for each in _shorter(name):
        if each in COUNTERPARTS:
            return COUNTERPARTS[each] + name[len(each) :]
    return f"taskq.{name}"


def new_place(module: str) -> str | None:
    """The module of taskq that stands for a module of Celery's, or for a name in one."""
    for each in _shorter(module):
        if each in NAMES:
            return f"taskq.{each}"
        if each in COUNTERPARTS:
            return COUNTERPARTS[each]
    return None


def _shorter(name: str) -> Iterator[str]:
    """The dotted path, then that of its parent, and so on."""
    while name:
        yield name
        name = name.rpartition(".")[0]
