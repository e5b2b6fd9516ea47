"""Django's tasks with options of ours: the decorator, and what it makes.

``from taskq.django import task`` in place of Django's own, where tasks need retries,
time limits and the like. Django's own does for all others, and from Django 6.1 on for
these too. The backend is in :mod:`taskq.backend`.
"""

from taskq.django.decorator import OPTIONS, AnyResult, AnyTask, TaskqTask, task

__all__ = ["OPTIONS", "AnyResult", "AnyTask", "TaskqTask", "task"]
