"""django-celery-beat's ``PeriodicTask`` over the table of schedules.

It is an app of its own, as its model needs one. Add ``"taskq.contrib.beat"`` to ``INSTALLED_APPS``
in place of ``"django_celery_beat"``, and import from ``taskq.contrib.beat.models``.
docs/how-to/migrating/celery.md says what differs.
"""
