"""Django's tasks with taskq's options: the decorator, and the class of the tasks that it makes.

Use ``from taskq.django import task`` in place of Django's own for tasks that need retries, time
limits or other options. Django's own is enough for all others, and from Django 6.1 on for these
too. The backend is in :mod:`taskq.backend`.
"""

from taskq.django.decorator import OPTIONS, AnyResult, AnyTask, TaskqTask, task

__all__ = ["OPTIONS", "AnyResult", "AnyTask", "TaskqTask", "task"]
