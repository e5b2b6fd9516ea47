"""The path for ``TASKS`` in a site's settings; see :mod:`taskq.django.backend`."""

from taskq.django.backend import TaskqBackend

__all__ = ["TaskqBackend"]
