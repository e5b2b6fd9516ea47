"""dj-queue: ``manage.py dj_queue`` with ``-c`` processes of one thread each.

Its connections persist (``CONN_MAX_AGE = 60``), as its documentation advises for throughput and
as its own benchmark has it. Finished jobs are kept, which is its default, because the others
keep their results too.
"""
