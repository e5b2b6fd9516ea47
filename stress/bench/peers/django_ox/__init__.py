"""django-ox: ``manage.py ox_worker`` with ``-c`` processes of one thread each, as its
documentation says for tasks that wait for nothing.

Its connections persist (``CONN_MAX_AGE = 600``), as its worker asks for at the start. Results
are kept, which is all that it can do; they are pruned by another command.
"""
