"""Who hears Django's signals about a task. Building the TaskResult that a run's signals carry takes
longer than a small task, so it is not done for nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterator

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
    only with DEBUG, so on a site in production it has none."""
    if not _LOGGER.isEnabledFor(level):
        return False
    if logging.Logger.callHandlers.__module__ != logging.__name__:
        return True  # a tool hears of records without a handler
    handlers: list[logging.Handler | None] = list(_handlers()) or [logging.lastResort]
    return any(each is not None and each.level <= level and _may_write(each) for each in handlers)


def _handlers() -> Iterator[logging.Handler]:
    logger: logging.Logger | None = _LOGGER
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _may_write(handler: logging.Handler) -> bool:
    refusing = RequireDebugFalse if settings.DEBUG else RequireDebugTrue
    return not any(type(each) is refusing for each in handler.filters)
