"""Who hears Django's signals about a task. Building the TaskResult that a run's signals carry takes
longer than a small task, so it is not done for nobody."""

from __future__ import annotations

import logging

from django.conf import settings
from django.dispatch import Signal
from django.utils.log import RequireDebugFalse, RequireDebugTrue

from taskq import shortcuts
from taskq.django.compat import signals

#: Django's own receivers, which write to its log.
_LOGGER: logging.Logger = signals.logger
_LOG = {
    id(getattr(signals, f"log_task_{what}", None)) for what in ("enqueued", "started", "finished")
}


def is_heard(signal: Signal, level: int) -> bool:
    """Whether a signal has a receiver. Django's log counts only where it would write at a level."""
    return others_hear(signal) or (bool(signal.receivers) and _writes(level))


def others_hear(signal: Signal) -> bool:
    """Whether a signal has another receiver than Django's log."""
    receivers = shortcuts.receivers_of()
    if receivers is None:
        return bool(signal.receivers)
    return not receivers(signal) <= _LOG


def _writes(level: int) -> bool:
    """Whether Django's log has a handler for a level. Django's default has one for INFO that writes
    only with DEBUG, so on a site in production it has none.

    Asked twice in each run, so written as one loop.
    """
    if not _LOGGER.isEnabledFor(level):
        return False
    if logging.Logger.callHandlers.__module__ != logging.__name__:
        return True  # a tool hears of records without a handler
    refusing = RequireDebugFalse if settings.DEBUG else RequireDebugTrue
    logger: logging.Logger | None = _LOGGER
    found = False
    while logger is not None:
        for handler in logger.handlers:
            found = True
            if handler.level <= level and refusing not in map(type, handler.filters):
                return True
        logger = logger.parent if logger.propagate else None
    last = logging.lastResort
    return not found and last is not None and last.level <= level
