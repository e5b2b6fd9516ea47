"""django-q2 with its ORM broker: a cluster of ``-c`` workers.

``timeout`` and ``retry`` have values because it warns of its own defaults; everything
else is default (one task a fetch, the last 250 successes kept).
"""
