"""What becomes of options, methods and attributes of Celery."""

from __future__ import annotations

import difflib

from taskq.celery_check.facts.fact import (
    INNER,
    NO_BROKER,
    TESTING,
    WORKER,
    Fact,
    Verdict,
    differs,
    idle,
    moves,
    rewrite,
)

# The decorator

DECORATOR: dict[str, Fact] = {
    **moves(
        "name bind base max_retries default_retry_delay autoretry_for dont_autoretry_for "
        "retry_kwargs retry_backoff retry_backoff_max retry_jitter time_limit soft_time_limit "
        "queue typing ignore_result expires before_start on_success on_retry on_failure "
        "after_return"
    ),
    **differs("priority", "from -100 to 100, and higher is sooner, whatever the broker was"),
    **idle(
        "acks_late reject_on_worker_lost acks_on_failure_or_timeout acks_on_failure "
        "acks_on_timeout",
        "a task is acknowledged when it is done, always",
    ),
    **idle("serializer compression", 'arguments are JSON, or TASKQ["SERIALIZER"] = "pickle"'),
    **idle("track_started store_errors_even_if_ignored retry_on_worker_lost", "always so"),
    **idle(
        "send_events trail throws shared lazy abstract resultrepr_maxsize",
        "nothing depends on it",
    ),
    **idle(
        "exchange routing_key delivery_mode immediate mandatory",
        "there is no broker: queue= says where it waits",
    ),
    **rewrite("rate_limit", "there is none: give the task a queue that only one small pool serves"),
    **rewrite("backend", "results are in the database: ignore_result=False keeps them"),
    **rewrite(
        "pydantic pydantic_strict pydantic_context pydantic_dump_kwargs",
        "call the model's model_validate() in the task",
    ),
    **rewrite("Request Strategy", "listen to the signals of runs, such as task_failure"),
}


def unknown_option(name: str) -> Fact:
    """Of an option on a decorator that is none of Celery's, perhaps by a typing error."""
    near = difflib.get_close_matches(name, DECORATOR, n=1, cutoff=0.75)
    says = "no option of a task, in Celery neither: it is kept as an attribute of the task"
    return Fact(Verdict.IDLE, f"{says}. Did you mean {near[0]}?" if near else says)


# A call

#: Of an option that is none of Celery's.
UNKNOWN_IN_CALL = Fact(
    Verdict.REWRITE, "Celery passes such an option over, and here it is a TypeError: remove it"
)
CALL: dict[str, Fact] = {
    **moves(
        "args kwargs countdown eta expires queue headers task_id link link_error time_limit "
        "soft_time_limit root_id parent_id"
    ),
    **differs("priority", "from -100 to 100, and higher is sooner, whatever the broker was"),
    **idle(
        "connection producer publisher retry retry_policy exchange routing_key delivery_mode "
        "mandatory immediate reply_to",
        "there is no broker: the send is an INSERT",
    ),
    **idle("serializer compression add_to_parent shadow", "nothing depends on it"),
    **idle("ignore_result", "it is the task's own: say it on the decorator"),
    **rewrite("stamped_headers", "use headers="),
    **rewrite("argsrepr kwargsrepr", "name the parameters by sensitive= of the task"),
    **rewrite("group_id chord", "the canvas sets it: use group, chord"),
}

ON_COMMIT = Fact(
    Verdict.IDLE, "a task is part of the transaction: the call alone does the same, and is not lost"
)

# In a task

#: Attributes of ``self.request``.
REQUEST: dict[str, Fact] = {
    **moves(
        "id args kwargs retries eta headers is_eager called_directly hostname delivery_info "
        "root_id parent_id timelimit task name get correlation_id argsrepr kwargsrepr utc"
    ),
    **differs("reply_to origin properties shadow", "it is empty: there is no broker"),
    **differs("stamps stamped_headers", "it is empty: use headers="),
    **differs("logfile loglevel", "it is empty: set Django's LOGGING"),
    **differs(
        "chain callbacks errbacks chord",
        "it reads as None, as what follows is rows; to set it to None drops that, as in Celery",
    ),
    **rewrite(
        "group children",
        "what follows a task is rows: AsyncResult(self.request.id).children, .parent",
    ),
    **rewrite("expires ignore_result", "the sender knows it: send it as an argument or a header"),
}

#: Those of them that drop what follows when they are set to None.
DROPPING = frozenset(("chain", "callbacks", "errbacks", "chord"))

#: Attributes of a task: those that a method of a task or a module uses.
TASK: dict[str, Fact] = {
    **moves(
        "delay apply_async delay_on_commit apply_async_on_commit apply s si signature subtask map "
        "starmap chunks retry replace add_to_chord update_state request name max_retries run app "
        "AsyncResult MaxRetriesExceededError before_start on_success on_failure on_retry "
        "after_return __call__ default_retry_delay push_request pop_request"
    ),
    **rewrite("backend", "results are in the database: AsyncResult(id)"),
    **rewrite("get_logger", "logging.getLogger(__name__)"),
    **rewrite("send_event", "send a Django signal, or self.set_progress()"),
    **rewrite("request_stack", "push_request() and pop_request() are there, for tests"),
    **rewrite("start_strategy Strategy Request on_bound shadow_name", WORKER),
    **rewrite("is_aborted", "self.is_stopping()"),
}

#: Methods of a class of tasks that Celery calls, and that are called less often here, or never.
METHODS: dict[str, Fact] = {
    **differs(
        "apply_async", "each call and step passes through it, but no retry and no delay_many()"
    ),
    **differs("retry", "what autoretry_for retries does not pass through it"),
    **rewrite("on_bound", "nothing calls it: use __init__()"),
    **rewrite("shadow_name start_strategy", "nothing calls it: remove it"),
}

# Results

RESULT: dict[str, Fact] = {
    **differs(
        "get wait",
        "what a failed task raises has its class, without attributes; ignore_result=False keeps it",
    ),
    **moves(
        "id task_id status state result info traceback ready successful failed forget revoke name "
        "args kwargs queue worker retries date_done parent as_tuple as_list collect iterdeps "
        "get_leaf exists"
    ),
    **differs("maybe_throw maybe_reraise", "what it raises has its class, without attributes"),
    **differs("children", "of a workflow: what the task itself has sent is not among them"),
    **rewrite("throw", "maybe_throw()"),
    **rewrite("then", "a step that follows in a chain, or get()"),
    **rewrite("abort", "result.cancel()"),
    **rewrite("backend app build_graph graph", INNER),
}

# The app

APP: dict[str, Fact] = {
    **moves(
        "task send_task signature conf config_from_object autodiscover_tasks control tasks main "
        "Task AsyncResult GroupResult ResultSet register_task add_periodic_task current_task now "
        "timezone on_configure on_after_configure on_after_finalize set_current set_default "
        "finalize"
    ),
    **rewrite(
        "connection connection_for_read connection_for_write connection_or_acquire "
        "broker_connection producer_or_acquire producer_pool pool amqp select_queues",
        NO_BROKER,
    ),
    **rewrite("events", "listen to the signals; manage.py taskq_top shows what runs"),
    **rewrite("backend", "results are in the database: AsyncResult(id)"),
    **rewrite("steps user_options Worker WorkController", WORKER),
    **rewrite("worker_main start", "the worker is manage.py taskq_pool"),
    **rewrite("Beat", "every pool sends the ticks: there is nothing to start"),
    **rewrite("setup_security", "rows are as safe as the database"),
    **rewrite("log", "set Django's LOGGING"),
    **rewrite("bugreport", "manage.py check, manage.py diffsettings"),
    **rewrite("loader", "Django loads the site"),
}

#: ``app.control``. What is asked of workers is in the tables.
CONTROL: dict[str, Fact] = {
    **moves("revoke terminate purge inspect ping"),
    **rewrite("rate_limit time_limit autoscale", "there is none while a pool runs"),
    **rewrite("pool_grow pool_shrink", "send the pool TTIN or TTOU"),
    **rewrite("pool_restart", "send the pool HUP"),
    **rewrite("shutdown", "send the pool TERM"),
    **differs("add_consumer cancel_consumer", "it resumes or pauses the queue for all pools"),
    **rewrite("broadcast election", INNER),
    **rewrite("revoke_by_stamped_headers", "choose the rows: Task.objects.pending().discard()"),
    **idle("enable_events disable_events heartbeat", "there are no events to switch"),
}

# Tests

#: Fixtures of ``celery.contrib.pytest``.
FIXTURES: dict[str, Fact] = rewrite(
    "celery_app celery_worker celery_session_app celery_session_worker celery_config "
    "celery_parameters celery_worker_parameters celery_includes celery_enable_logging "
    "celery_worker_pool use_celery_app_trap celery_class_tasks depends_on_current_app",
    TESTING,
)

# Names in texts

#: In INSTALLED_APPS.
APP_CELERY = Fact(Verdict.REWRITE, "remove it: taskq stands there in its place")
#: Whole texts: apps of INSTALLED_APPS, and loggers of LOGGING.
TEXTS: dict[str, Fact] = {
    **rewrite(
        "django_celery_beat",
        "taskq.contrib.beat in its place; manage.py taskq_import_beat brings its rows",
    ),
    **idle("django_celery_results", "results are in the admin of taskq: remove it"),
    **idle("django_celery_monitor", "the dashboard of taskq shows them: remove it"),
    **differs(
        "celery.task celery.app.trace celery.worker celery.worker.strategy celery.worker.consumer "
        "celery.beat celery.redirected celery.pool",
        'the loggers are "taskq" and "pool", beside those of your own code',
    ),
}
