"""Celery with Redis as its broker: prefork, ``-c`` processes, no result backend.

Everything else is Celery's default (prefetch of four a process, acknowledged early). It
carries no Django, which spares it the work that Celery does around each task there.
"""
