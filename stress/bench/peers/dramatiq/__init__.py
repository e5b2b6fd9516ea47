"""Dramatiq with Redis: its default middleware, 2 processes of 8 threads at ``-c 8``.

That is its own default, for two cores as here. At ``-c 1`` and ``-c 2`` it gets so many
processes of one thread each.
"""
