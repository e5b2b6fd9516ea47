"""What a project with Celery has to change to move: read from its code, of which nothing is run.

``manage.py taskq_celery_check`` shows it, and ``python -m taskq.celery_check`` where no site is set
up. What each name of Celery becomes stands in ``facts``.
"""
