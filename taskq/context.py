"""What a running task can ask and say about its own run; see :mod:`taskq.task.request`."""

from taskq.task.request import Request, current_request, is_stopping, set_progress

__all__ = ["Request", "current_request", "is_stopping", "set_progress"]
