"""The primary key of a row in an address."""

from __future__ import annotations

from django.urls.converters import IntConverter

from taskq.task import ids


class RowId(IntConverter):
    """A whole number of 64 bits. It may be below 0, as people write rows by SQL too. A larger one
    is the largest: no row has that."""

    regex = "-?[0-9]+"

    def to_python(self, value: str) -> int:
        return max(-ids.TOO_LARGE, min(super().to_python(value), ids.TOO_LARGE - 1))
