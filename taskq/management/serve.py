"""Starting a pool: its roles, its log, and the steps before the first fork."""

from __future__ import annotations

import logging
import os

from django.conf import settings as django_settings
from django.core.management.base import CommandError
from django.db import connections

from pool import Role, Scoreboard, Supervisor, TooManySlots
from taskq import events
from taskq.keeper.keeper import Keeper
from taskq.management import before_fork
from taskq.management import reload as management_reload
from taskq.overview import unknown_names
from taskq.pool_context import PoolContext
from taskq.task import registry
from taskq.worker.worker import Worker

TITLE = "taskq_pool"

log = logging.getLogger("taskq")


def set_up_logging(level: str | None) -> None:
    """Log to standard error, unless the site's LOGGING has a handler for these loggers.

    level: the level of the loggers ``taskq`` and ``pool``. None keeps the level of LOGGING, or INFO
        where LOGGING gives none.
    """
    for name in ("taskq", "pool"):
        logger = logging.getLogger(name)
        if level is not None:
            logger.setLevel(level)
        elif logger.level == logging.NOTSET and not logging.root.handlers:
            logger.setLevel(logging.INFO)
        if not logger.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            logger.addHandler(handler)


def serve(context: PoolContext, *, reload: bool = False) -> int:
    """Run a pool until it is stopped. Returns the exit code.

    The exit code is 1 when a task of a burst failed, when a burst left a task with a name that is
    not known here, or when no worker ever booted.

    Raises CommandError when the limit of open files is too low for so many workers.
    """
    concurrency = context.settings.concurrency or os.cpu_count() or 1
    try:
        scoreboard = Scoreboard(capacity=2 * concurrency + 16)
    except TooManySlots as error:
        least, limit = error.args
        raise CommandError(
            f"the concurrency is {concurrency}: a pool of so many workers needs a limit of "
            f"{least} open files, and may have {limit}: raise it (ulimit -Hn, "
            "LimitNOFILE), or start several pools"
        ) from error
    supervisor = Supervisor(
        _roles(context, concurrency, reload),
        scoreboard,
        drain_timeout=context.settings.drain_timeout,
        title=TITLE,
    )
    _announce(context, concurrency)
    before_fork.get_ready(context)
    code = supervisor.run()
    if context.burst and code == 0:
        failed = sum(slot.failed for slot in scoreboard.slots)
        code = int(failed > 0 or _leaves_unknown(context))
    return code


def _leaves_unknown(context: PoolContext) -> bool:
    """Whether tasks are left whose names are not known here."""
    known = set(registry.names())
    left = [
        (name, count)
        for queue, name, count in unknown_names(context.alias)
        if context.queues.admit(queue) and name not in known
    ]
    if left:
        events.unknown_left(sum(count for _name, count in left), [name for name, _count in left])
    return bool(left)


def _roles(context: PoolContext, concurrency: int, reload: bool) -> list[Role]:
    settings = context.settings
    roles = [
        # First: its slot is known to the others (context.KEEPER).
        Role(
            name="keeper",
            run=lambda child: Keeper(child, context).run(),
            support=True,
            # Short enough to fork another keeper before a lease expires. But longer than a
            # connection to a dead database takes to fail.
            patience=max(2.5, settings.heartbeat + (settings.lease - settings.heartbeat) / 3),
        ),
        Role(
            name="worker",
            run=lambda child: Worker(child, context).run(),
            count=concurrency,
            scalable=True,
            oom_victim=True,
        ),
    ]
    if reload:
        roles.append(
            Role(name="reloader", run=management_reload.watch, stops_pool=management_reload.CHANGED)
        )
    return roles


def _announce(context: PoolContext, concurrency: int) -> None:
    settings, database = context.settings, connections[context.alias]
    name = database.settings_dict["NAME"]
    known = registry.names()
    log.info("taskq pool %s", context.pool)
    log.info("  queues    %s", context.queues)
    log.info("  database  %s: %s %s", context.alias, database.display_name, name)
    log.info("  workers   %d", concurrency)
    log.info("  lease     %g s, heartbeat %g s", settings.lease, settings.heartbeat)
    log.info(
        "  tasks     %d: %s", len(known), ", ".join(known) or "none in any tasks.py or IMPORTS"
    )
    if schedules := [entry.name for entry in context.plan.entries]:
        log.info("  schedules %d: %s", len(schedules), ", ".join(schedules))
    if django_settings.DEBUG:
        log.info("  DEBUG is on: fine for development, but Django keeps every query in memory")
