"""``get_task_logger``: the logger of a module of tasks."""

from __future__ import annotations

import logging

#: A site that has the logger ``celery`` in its LOGGING goes on to get these lines there. What that
#: one passes on goes to the logger ``taskq``, which a pool shows.
_celery = logging.getLogger("celery")
_celery.parent = logging.getLogger("taskq")
task_logger = logging.getLogger("celery.task")


def get_task_logger(name: str) -> logging.Logger:
    """The logger of this name. Its lines go to ``celery.task``, ``celery`` and ``taskq``, and then
    to the root.

    Raises RuntimeError for the names of these loggers themselves, as Celery does.
    """
    if name in ("celery", "celery.task"):
        raise RuntimeError(f"{name!r} is the logger above all tasks: give the name of a module")
    logger = logging.getLogger(name)
    if logger.parent is not task_logger:
        logger.parent = task_logger
    return logger


def get_logger(name: str) -> logging.Logger:
    """The logger of this name, as :func:`logging.getLogger` has it."""
    return logging.getLogger(name)
