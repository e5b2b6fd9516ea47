"""django-taskq: ``-c`` processes of ``manage.py taskq``, each with one worker."""
