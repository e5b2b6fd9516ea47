"""What a running task can know of its own run, and say about it; see :mod:`taskq.task.request`."""

from taskq.task.request import Request, current_request, is_stopping, set_progress

__all__ = ["Request", "current_request", "is_stopping", "set_progress"]
