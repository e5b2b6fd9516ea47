"""What each name of Celery becomes: the one place that the check reads.

Tests hold it against ``taskq.celery``: what is said to be there is imported, and what is said of an
option is tried.
"""
