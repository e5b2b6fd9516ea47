"""Starting a pool: its roles, its log, and the steps before the first fork."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable

from django.conf import settings as django_settings
from django.core.management.base import CommandError
from django.db import connections

from pool import Child, Role, Supervisor, TooManySlots
from taskq import events
from taskq.keeper.keeper import Keeper
from taskq.logs import JsonFormatter, TaskFilter, TextFormatter
from taskq.management import before_fork, listening
from taskq.management import reload as management_reload
from taskq.overview import unknown_names
from taskq.pool_context import PoolContext, scoreboard
from taskq.task import registry
from taskq.worker.worker import Worker

TITLE = "taskq_pool"
#: Seconds without a round after which the process of the metrics is replaced. It goes round each
#: second.
METRICS_PATIENCE = 10.0

#: The values of ``--log-format``.
FORMATTERS: dict[str, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}


def set_up_logging(level: str | None, log_format: str | None = None) -> None:
    """Log to standard error, as far as the site's LOGGING leaves it open.

    Without a LOGGING all that is logged goes there, INFO and above, also by the code of tasks. With
    one, only what the loggers ``taskq`` and ``pool`` say, if it has no handler for them.

    level: the level of the loggers ``taskq`` and ``pool``. None keeps the level of LOGGING, or INFO
        where LOGGING gives none.
    log_format: a key of ``FORMATTERS``. None is "text".

    Raises CommandError when a format is given, and LOGGING has handlers for these loggers.
    """
    loggers = [logging.getLogger(name) for name in ("taskq", "pool")]
    for logger in loggers:
        if level is not None:
            logger.setLevel(level)
        elif logger.level == logging.NOTSET and not logging.root.handlers:
            logger.setLevel(logging.INFO)
    open_ones = [logger for logger in loggers if not logger.hasHandlers()]
    if log_format is not None and len(open_ones) < len(loggers):
        raise CommandError(
            f"--log-format is {log_format!r}, but LOGGING has a handler for the logger taskq or "
            'pool: leave the option out, and give that handler the formatter {"()": '
            f'"taskq.logs.{FORMATTERS[log_format].__name__}"}} and the filter {{"()": '
            '"taskq.logs.TaskFilter"}'
        )
    handler = logging.StreamHandler()
    handler.addFilter(TaskFilter())
    handler.setFormatter(FORMATTERS[log_format or "text"]())
    if not django_settings.LOGGING and len(open_ones) == len(loggers):
        logging.root.setLevel(logging.INFO)
        open_ones = [logging.root]
        _end_djangos_own_lines()
    for logger in open_ones:
        logger.addHandler(handler)


def _end_djangos_own_lines() -> None:
    """Without a LOGGING, and with DEBUG, Django prints what its loggers say. The root does too."""
    django_logger = logging.getLogger("django")
    for handler in list(django_logger.handlers):
        if type(handler) is logging.StreamHandler:
            django_logger.removeHandler(handler)
    # Two lines for each run, which say less than taskq's own. A run of Django's door takes twice as
    # long with them.
    for name in ("django.tasks", "django_tasks"):
        if (logger := logging.getLogger(name)).level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


def serve(context: PoolContext, *, reload: bool = False) -> int:
    """Run a pool until it is stopped. Returns the exit code.

    The exit code is 1 when a task of a burst failed, when a burst left a task with a name that is
    not known here, or when no worker ever booted.

    Raises CommandError when the limit of open files is too low for so many workers, or when the
    port of the metrics cannot be had.
    """
    listener = listening.listen(context.settings)
    bounds = context.autoscale
    concurrency = bounds.least if bounds else context.settings.concurrency or os.cpu_count() or 1
    most = bounds.most if bounds else concurrency
    try:
        board = scoreboard(2 * most + 16)
    except TooManySlots as error:
        least, limit = error.args
        raise CommandError(
            f"the concurrency is {most}: a pool of so many workers needs a limit of "
            f"{least} open files, and may have {limit}: raise it (ulimit -Hn, "
            "LimitNOFILE), or start several pools"
        ) from error
    supervisor = Supervisor(
        _roles(context, concurrency, reload, listener),
        board,
        drain_timeout=context.settings.drain_timeout,
        title=TITLE,
    )
    _announce(context, concurrency, listener)
    before_fork.get_ready(context)
    code = supervisor.run()
    if context.burst and code == 0:
        failed = sum(slot.failed for slot in board.slots)
        code = int(failed > 0 or _leaves_unknown(context))
    return code


def _leaves_unknown(context: PoolContext) -> bool:
    """Whether tasks are left whose names are not known here."""
    left = [
        (name, count)
        for queue, name, count in unknown_names(context.alias)
        if context.queues.admit(queue) and registry.find(name) is None
    ]
    if left:
        events.unknown_left(sum(count for _name, count in left), [name for name, _count in left])
    return bool(left)


def _roles(
    context: PoolContext, concurrency: int, reload: bool, listener: socket.socket | None
) -> list[Role]:
    def apart(run: Callable[[Child], int]) -> Callable[[Child], int]:
        """A process that could serve by mistake, or leave the port to a program, has no port."""

        def start(child: Child) -> int:
            if listener is not None:
                listener.close()
            return run(child)

        return start

    roles = [
        # First: its slot is known to the others (context.KEEPER).
        Role(
            name="keeper",
            run=apart(lambda child: Keeper(child, context).run()),
            support=True,
            patience=context.keeper_patience,
        ),
        Role(
            name="worker",
            run=apart(lambda child: Worker(child, context).run()),
            count=concurrency,
            scalable=True,
            oom_victim=True,
        ),
    ]
    if listener is not None:
        roles.append(_metrics(context, listener))
    if reload:
        roles.append(
            Role(
                name="reloader",
                run=apart(management_reload.watch),
                stops_pool=management_reload.CHANGED,
            )
        )
    return roles


def _metrics(context: PoolContext, listener: socket.socket) -> Role:
    def run(child: Child) -> None:
        # Here, as the library is an extra, and takes memory that no other process needs.
        from taskq.metrics import server

        server.run(child, context, listener)

    # A support role: it serves until the last worker has ended.
    return Role(name="metrics", run=run, support=True, patience=METRICS_PATIENCE)


def _announce(context: PoolContext, concurrency: int, listener: socket.socket | None) -> None:
    bounds = context.autoscale
    settings, database = context.settings, connections[context.alias]
    known, schedules = registry.names(), [entry.name for entry in context.plan.entries]
    about = {
        "queues": str(context.queues),
        "database": f"{context.alias}: {database.display_name} {database.settings_dict['NAME']}",
        "workers": str(concurrency) if bounds is None else f"{bounds.least} to {bounds.most}",
        "lease": f"{settings.lease:g} s, heartbeat {settings.heartbeat:g} s",
        "tasks": f"{len(known)}: {', '.join(known) or 'none in any tasks.py or IMPORTS'}",
    }
    if listener is not None:
        about["metrics"] = listening.url(listener)
    if schedules:
        about["schedules"] = f"{len(schedules)}: {', '.join(schedules)}"
    if django_settings.DEBUG:
        about["DEBUG"] = "is on: fine for development, but Django keeps every query in memory"
    events.pool_started(
        context.pool,
        about,
        queues=about["queues"],
        database=context.alias,
        workers=concurrency,
        lease=settings.lease,
        tasks=known,
        schedules=schedules,
        metrics=about.get("metrics"),
    )
