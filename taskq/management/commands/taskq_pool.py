"""``manage.py taskq_pool``: run tasks in a pool of prefork workers."""

from __future__ import annotations

import logging
import os
import socket
import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import router

from taskq import conf
from taskq.management import arguments, celery_flags, pidfile
from taskq.management.queue_command import QueueCommand
from taskq.models import Task
from taskq.pool_context import PoolContext
from taskq.task.queues import Queues

#: Options that replace a key of TASKQ for this pool.
_SETTINGS = {
    "concurrency": int,
    "lease": float,
    "heartbeat": float,
    "poll": float,
    "time_limit": float,
    "soft_time_limit": float,
    "max_tasks_per_child": int,
    "max_memory_per_child": int,
    "drain_timeout": float,
    "metrics_port": int,
    "metrics_host": str,
}


class Command(QueueCommand):
    help = (
        "Run tasks in a pool of worker processes. TERM or Ctrl-C drains the pool (a second Ctrl-C "
        "stops it now). QUIT stops it now. HUP replaces the workers one by one. TTIN and TTOU add "
        "and remove a worker. USR1 logs what each process does. Defaults come from the TASKQ "
        "setting. The exit code is 0 after a stop. It is 1 when a task of a burst failed, a burst "
        "left a task with a name that is not known here, no worker ever booted, a module with "
        "tasks cannot be imported, or an option was wrong."
    )
    #: None: the number in the TASKQ setting, or one for each core.
    default_concurrency: int | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        defaults = arguments.defaults()
        add = parser.add_argument
        add(
            "-Q",
            "--queues",
            type=_queues,
            default=Queues(),
            help="comma-separated queues to serve; mail* is all that begin so (default: all)",
        )
        add(
            "-X",
            "--exclude-queues",
            type=_queues,
            help="queues that are not served, as -Q takes them; without -Q all others are",
        )
        add(
            "-l",
            "--loglevel",
            type=_level,
            help="DEBUG, INFO, WARNING, ERROR or CRITICAL (default: LOGGING's, else INFO)",
        )
        add(
            "--log-format",
            choices=("text", "json"),
            help="lines of text or of JSON, where LOGGING has no handler (default: text)",
        )
        add(
            "--lease",
            metavar="SECONDS",
            help="how long a worker may hold tasks without a renewal: after that, a lost host's "
            f"tasks run again; it is no limit for a run (default: {defaults.lease:g})",
        )
        add(
            "--heartbeat",
            metavar="SECONDS",
            help="time between renewals, at most a third of the lease "
            f"(default: {defaults.heartbeat:g})",
        )
        add(
            "--poll",
            metavar="SECONDS",
            help="time between looks for due tasks when no wake-up comes "
            f"(default: {defaults.poll:g})",
        )
        add(
            "--time-limit",
            metavar="SECONDS",
            help="kill the worker of a task that runs longer, unless the task sets its own "
            f"(default: {_or_none(defaults.time_limit)})",
        )
        add(
            "--soft-time-limit",
            metavar="SECONDS",
            help="raise SoftTimeLimitExceeded in a task that runs longer "
            f"(default: {_or_none(defaults.soft_time_limit)})",
        )
        add(
            "--max-tasks-per-child",
            metavar="N",
            help="replace a worker after N runs "
            f"(default: {_or_none(defaults.max_tasks_per_child)})",
        )
        add(
            "--max-memory-per-child",
            metavar="KIB",
            help="replace a worker after a task if its resident memory is larger "
            f"(default: {_or_none(defaults.max_memory_per_child)})",
        )
        add(
            "--drain-timeout",
            metavar="SECONDS",
            help="how long running tasks may take to finish after TERM; then they are stopped and "
            f"given back, or failed with on_lost=fail (default: {defaults.drain_timeout:g})",
        )
        add(
            "--metrics-port",
            metavar="PORT",
            help="serve /metrics, /live and /ready on this TCP port, 0 for a free one; it needs "
            "prometheus-client (pip install 'taskq-pool[metrics]') "
            f"(default: {_or_none(defaults.metrics_port)})",
        )
        add(
            "--metrics-host",
            metavar="ADDRESS",
            help=f"the address of that port (default: {defaults.metrics_host})",
        )
        add(
            "--burst",
            action="store_true",
            help="exit when nothing is due: code 0, or 1 if a task failed or is not known here",
        )
        add("--reload", action="store_true", help="development: restart when code changes")
        add(
            "--pidfile",
            metavar="FILE",
            help="write the pid of the supervisor there, and remove the file at the end",
        )
        add(
            "-n",
            "--hostname",
            type=celery_flags.host,
            metavar="NAME",
            help="what the pool is called, before the name of the host: mail@%%h",
        )
        arguments.add_database(parser)
        self.add_concurrency(parser)
        celery_flags.add(parser)

    def add_concurrency(self, parser: CommandParser) -> None:
        configured = arguments.defaults().concurrency
        parser.add_argument(
            "-c",
            "--concurrency",
            metavar="N",
            help=f"worker processes (default: {configured or 'one for each core'})",
        )
        parser.add_argument(
            "--autoscale",
            type=celery_flags.bounds,
            metavar="MAX,MIN",
            help="add workers while all are busy and tasks wait, and remove idle ones: between "
            "these two numbers, in place of --concurrency",
        )

    def handle(self, **options: Any) -> None:
        if not hasattr(os, "fork"):
            raise CommandError(
                "taskq_pool needs fork(), which this system lacks: run it on Linux or macOS "
                "(tasks can be enqueued from here)."
            )
        from pool import signals

        with signals.starting(), pidfile.held(options["pidfile"]):
            code = self._run(options)
        if code:
            sys.exit(code)

    def _run(self, options: dict[str, Any]) -> int:
        """Run a pool as the options say. Returns the exit code."""
        from taskq.management import reload, serve
        from taskq.task import discovery

        if broken := discovery.broken():  # the checks find this too, unless they are skipped
            raise CommandError(f"a pool would lack tasks: {'; '.join(map(str, broken))}")
        if options["reload"] and options["burst"]:
            raise CommandError(
                "--burst and --reload exclude each other: one ends, the other goes on"
            )
        flags = celery_flags.passed_over(options[celery_flags.DEST])
        autoscale = options.get("autoscale")
        if autoscale and options["concurrency"] is not None:
            raise CommandError(
                "--concurrency and --autoscale exclude each other: the pool starts with the least "
                "workers of --autoscale, so leave --concurrency out"
            )
        settings = self._settings(options)
        alias = arguments.database_alias(options["database"])
        tasks = router.db_for_write(Task)
        if alias == settings.listen != tasks:
            # Both aliases lead to the same database, but for Django they are two.
            raise CommandError(
                f"--database is {alias!r}, which TASKQ['LISTEN'] names as the direct way to the "
                f"tasks of {tasks!r}: leave --database out, or tasks with atomic=True would "
                "write by one connection and end by the other"
            )
        context = PoolContext(
            settings=settings,
            queues=_served(options["queues"], options["exclude_queues"]),
            alias=alias,
            burst=options["burst"],
            autoscale=autoscale,
            host=options["hostname"] or socket.gethostname(),
        )
        serve.set_up_logging(options["loglevel"], options["log_format"])
        if flags is not None:
            logging.getLogger("taskq").info(flags)
        if options["reload"] and not reload.is_inner():
            return reload.Outer().run()
        return serve.serve(context, reload=options["reload"])

    def _settings(self, options: dict[str, Any]) -> conf.Settings:
        default = self.default_concurrency
        others = {} if default is None else {"CONCURRENCY": default}
        return arguments.settings(options, _SETTINGS, others=others)


def _queues(text: str) -> Queues:
    try:
        return Queues.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _served(queues: Queues, left_out: Queues | None) -> Queues:
    try:
        return queues if left_out is None else queues.without(left_out)
    except ValueError as error:
        raise CommandError(f"--exclude-queues: {error}") from error


def _level(text: str) -> str:
    level = text.upper()
    if level not in logging.getLevelNamesMapping():
        raise ArgumentTypeError(
            f"{text!r} is no log level; use DEBUG, INFO, WARNING, ERROR or CRITICAL"
        )
    return level


def _or_none(value: object) -> str:
    return "none" if value is None else f"{value}"
