"""Who hears Django's signals about a run. Building the TaskResult that they carry takes longer than
a small task, so it is not done for nobody."""

from __future__ import annotations

import logging

from django.dispatch import Signal

from taskq import shortcuts
from taskq.django.compat import signals

#: Django's own receivers, which write to its log.
_LOGGER: logging.Logger = signals.logger
_LOG = {id(getattr(signals, name, None)) for name in ("log_task_started", "log_task_finished")}


def is_heard(signal: Signal, level: int) -> bool:
    """Whether a signal has a receiver. Django's log counts only where it would write at a level."""
    return others_hear(signal) or (bool(signal.receivers) and _LOGGER.isEnabledFor(level))


def others_hear(signal: Signal) -> bool:
    """Whether a signal has another receiver than Django's log."""
    receivers = shortcuts.receivers_of()
    if receivers is None:
        return bool(signal.receivers)
    return not receivers(signal) <= _LOG
