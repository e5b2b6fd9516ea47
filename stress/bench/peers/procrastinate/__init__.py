"""Procrastinate with psycopg: 2 processes (one a core here) that run 8 coroutines each at
``-c 8``; at ``-c 1`` and ``-c 2`` one process with a concurrency of that.

Tasks are coroutines, which it runs without a thread in between. Jobs that are done are
kept, its default.
"""
