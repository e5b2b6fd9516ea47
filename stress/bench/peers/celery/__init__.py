"""Celery with Redis as its broker: prefork, ``-c`` processes, no result backend.

Everything else is Celery's default (prefetch of four a process, acknowledged early). It
runs without Django, and so without the work that Celery does for Django around each task.
"""
