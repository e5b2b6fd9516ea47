"""django-tasks-db: ``-c`` processes of ``manage.py db_worker``, each with one worker.

Results are kept, which is all that it can do; they are pruned by another command.
"""
