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
        "maybe_signature subtask xmap xstarmap uuid app canvas exceptions result schedules signals "
        "states utils"
    ),
    "celery.app": "Celery shared_task app_or_default",
    "celery.app.base": "Celery",
    "celery.app.control": "Control Inspect",
    "celery.app.task": "Task Context",
    "celery.canvas": (
        "Signature chain chord chunks group signature maybe_signature subtask maybe_subtask xmap "
        "xstarmap"
    ),
    "celery.exceptions": (
        "AlreadyRegistered AlwaysEagerIgnored BackendError CDeprecationWarning CeleryError "
        "CeleryWarning ChordError CPendingDeprecationWarning DuplicateNodenameWarning FixupWarning "
        "Ignore ImproperlyConfigured IncompleteStream InvalidTaskError MaxRetriesExceededError "
        "NotConfigured NotRegistered OperationalError QueueNotFound Reject Retry SecurityError "
        "SoftTimeLimitExceeded TaskError TaskPredicate TaskRevokedError Terminated "
        "TimeLimitExceeded TimeoutError WorkerLostError"
    ),
    "celery.result": (
        "AsyncResult EagerResult GroupResult ResultSet ResultBase allow_join_result "
        "result_from_tuple"
    ),
    "celery.schedules": (
        "BaseSchedule ParseException crontab crontab_parser maybe_schedule schedstate schedule "
        "solar"
    ),
    "celery.signals": (
        "before_task_publish after_task_publish task_received task_prerun task_postrun "
        "task_success task_retry task_failure task_internal_error task_revoked task_rejected "
        "task_unknown task_sent celeryd_init celeryd_after_setup import_modules worker_init "
        "worker_before_create_process worker_process_init worker_process_shutdown worker_ready "
        "worker_shutdown worker_shutting_down heartbeat_sent setup_logging after_setup_logger "
        "after_setup_task_logger beat_init beat_embedded_init eventlet_pool_started "
        "eventlet_pool_preshutdown eventlet_pool_postshutdown eventlet_pool_apply "
        "user_preload_options"
    ),
    "celery.states": (
        "PENDING RECEIVED STARTED SUCCESS FAILURE REVOKED RETRY IGNORED REJECTED READY_STATES "
        "UNREADY_STATES EXCEPTION_STATES PROPAGATE_STATES ALL_STATES PRECEDENCE precedence state"
    ),
    "celery.utils": "uuid gen_unique_id log",
    "celery.utils.log": "get_task_logger get_logger task_logger",
}

_NEVER_SENT = "it is never sent here:"
#: What to know of names that move with their import.
NOTES: dict[str, Fact] = {
    **differs(
        "django_celery_beat.models.IntervalSchedule django_celery_beat.models.CrontabSchedule "
        "django_celery_beat.models.ClockedSchedule",
        "it is a value and has no row: no ModelForm, foreign key or filter() is of it",
    ),
    **rewrite("celery.schedules.solar", "there is none: a task each minute that asks the sun"),
    **differs(
        "celery.signals.task_received celery.signals.task_rejected celery.signals.task_unknown "
        "celery.signals.task_internal_error celery.signals.task_sent",
        f"{_NEVER_SENT} task_prerun, after_task_publish or the log say what there is to say",
    ),
    **differs(
        "celery.signals.worker_shutdown celery.signals.worker_shutting_down",
        f"{_NEVER_SENT} use worker_process_shutdown",
    ),
    **differs(
        "celery.signals.beat_init celery.signals.beat_embedded_init",
        f"{_NEVER_SENT} pools send the ticks; use worker_ready",
    ),
    **differs("celery.signals.import_modules", f"{_NEVER_SENT} use AppConfig.ready()"),
    **differs("celery.signals.worker_before_create_process", f"{_NEVER_SENT} use worker_init"),
    **differs(
        "celery.signals.heartbeat_sent celery.signals.user_preload_options "
        "celery.signals.eventlet_pool_started celery.signals.eventlet_pool_preshutdown "
        "celery.signals.eventlet_pool_postshutdown celery.signals.eventlet_pool_apply",
        f"{_NEVER_SENT} remove its receiver",
    ),
}

_BEAT = "taskq.models.Schedule has the schedules (docs/how-to/schedules.md)"
_INSPECT = "ask the tables: Task.objects.active(), taskq.overview, manage.py taskq_status"

#: What to write in place of modules, and of single names. The longest that fits counts.
INSTEAD: dict[str, Fact] = {
    **rewrite("celery", INNER),
    **rewrite("celery.bootsteps celery.worker celery.concurrency celery.apps", WORKER),
    **rewrite("celery.app.events celery.events", _INSPECT),
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
    **rewrite("django_celery_beat", f"taskq.contrib.beat has its models; {_BEAT}"),
    **rewrite("django_celery_beat.models.SolarSchedule", "a task each minute that asks the sun"),
    **rewrite("celery_once celery_singleton", '@shared_task(unique="args")'),
    **rewrite("django_celery_results", "taskq.models.Result, and AsyncResult"),
    **rewrite("celery_progress", "self.set_progress(done, total), and AsyncResult.progress"),
    **rewrite("sentry_sdk.integrations.celery", "taskq.contrib.sentry (docs/how-to/sentry.md)"),
    **rewrite(
        "opentelemetry.instrumentation.celery",
        "taskq.contrib.opentelemetry (docs/how-to/tracing.md)",
    ),
    **differs(
        "gevent eventlet", "a pool has processes only: a task that waits keeps its process busy"
    ),
}

_OF_BEAT = "PeriodicTask PeriodicTasks IntervalSchedule CrontabSchedule ClockedSchedule"
#: Names of other modules, and the module of taskq that has them.
ELSEWHERE: dict[str, str] = {
    "kombu.exceptions.OperationalError": "taskq.celery.exceptions",
    "kombu.utils.uuid": "taskq.celery.utils",
    "kombu.utils.uuid.uuid": "taskq.celery.utils",
    "billiard.exceptions.SoftTimeLimitExceeded": "taskq.celery.exceptions",
    "billiard.exceptions.TimeLimitExceeded": "taskq.celery.exceptions",
    "billiard.exceptions.WorkerLostError": "taskq.celery.exceptions",
    "celery.app.base.current_app": "taskq.celery",
    **dict.fromkeys(
        (f"django_celery_beat.models.{name}" for name in _OF_BEAT.split()),
        "taskq.contrib.beat.models",
    ),
}

#: What all modules that matter begin with: only these imports are looked at.
_BEGINNINGS = frozenset({name for name in INSTEAD} | {name.partition(".")[0] for name in ELSEWHERE})


def matters(path: str) -> bool:
    """Whether a dotted path is of Celery, or of what belongs to it."""
    return any(each in _BEGINNINGS for each in _shorter(path))


def home(name: str) -> str | None:
    """The module of taskq from which a name is imported. None for a name that does not move.

    name: with the module that has it, such as ``celery.schedules.crontab``.
    """
    module, _, last = name.rpartition(".")
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    return f"taskq.{module}" if last in NAMES.get(module, "").split() else None


def counterpart(module: str) -> str | None:
    """The module of taskq that stands for one of Celery's. None where there is none."""
    return f"taskq.{module}" if module in NAMES else None


def fact_of(name: str) -> Fact:
    """The fact of a module, or of a name in one, by its dotted path."""
    if home(name) is not None or counterpart(name) is not None:
        return MOVES
    return next(INSTEAD[each] for each in _shorter(name) if each in INSTEAD)


def fact_of_path(text: str) -> Fact | None:
    """The fact of a text that may be a dotted path, such as the target of a patch. None for one
    that names nothing of Celery's: it may be the name of a file."""
    for each in _shorter(text):
        if "." not in each:
            return None
        module, last = home(each), each.rpartition(".")[2]
        path = counterpart(each) or (f"{module}.{last}" if module else None)
        if path is not None:
            return Fact(Verdict.DIFFERS, f"as a path, it is now {path}{text[len(each) :]}")
        if each in INSTEAD:
            return INSTEAD[each]
    return None


def _shorter(name: str) -> Iterator[str]:
    """The dotted path, then that of its parent, and so on."""
    while name:
        yield name
        name = name.rpartition(".")[0]
