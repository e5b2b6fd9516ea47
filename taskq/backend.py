"""The path that ``TASKS`` in a site's settings names; see :mod:`taskq.django.backend`."""

from taskq.django.backend import TaskqBackend

__all__ = ["TaskqBackend"]
