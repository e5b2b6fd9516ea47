"""Times of the tables, read so that Python can hold them.

Rows are written by SQL as well. A column of PostgreSQL takes ``infinity`` and years before
Christ, and one of SQLite takes any text. Python has years 1 to 9999: a single such row would
make every list with it an error. So the database itself bounds what it returns. Comparisons,
indexes and the order of rows keep the true value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Func
from django.db.models.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    Base = DateTimeField[Any, Any]
else:
    Base = DateTimeField

#: The first and the last moment that is shown: a day from Python's own, so that every time zone
#: has it.
FIRST, LAST = "0001-01-02 00:00:00", "9999-12-30 00:00:00"

#: By vendor, of the column ``{0}``.
_BOUNDED = {
    # LEAST and GREATEST ignore NULL, which is to stay.
    "postgresql": (
        f"CASE WHEN {{0}} IS NOT NULL THEN LEAST(GREATEST({{0}}, TIMESTAMPTZ '{FIRST}+00'), "
        f"TIMESTAMPTZ '{LAST}+00') END"
    ),
    # A time is a text that strftime() gives back, after a step of no days, which moves a day that
    # its month does not have to the next one. All else is NULL. Without what is below a second,
    # which may be rounded up to the year 10000.
    "sqlite": (
        "CASE WHEN strftime('%%Y-%%m-%%d %%H:%%M:%%S', substr({0}, 1, 19), '+0 days') "
        "LIKE replace(substr({0}, 1, 19), 'T', ' ') || '%%' "
        "AND substr({0}, 20) NOT GLOB '*[^.0-9+:Z-]*' "
        f"THEN min(max({{0}}, '{FIRST}'), '{LAST}') END"
    ),
}


def _bounded(vendor: str, sql: str, params: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    template = _BOUNDED[vendor]
    return template.format(sql), (*params,) * template.count("{0}")


class MomentField(Base):
    """A DateTimeField that returns the nearest moment that Python has, or on SQLite None for
    what is no time at all. For migrations it is a DateTimeField."""

    def select_format(
        self, compiler: SQLCompiler, sql: str, params: Sequence[Any]
    ) -> tuple[str, tuple[Any, ...]]:
        # DISTINCT may be ordered only by what it selects: it has the column itself.
        if compiler.query.distinct or compiler.connection.vendor not in _BOUNDED:
            return sql, (*params,)
        return _bounded(compiler.connection.vendor, sql, params)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.DateTimeField", args, kwargs


class Bounded(Func):
    """The same moment within an expression: no vendor subtracts what is infinite."""

    arity = 1
    output_field = MomentField()

    def as_sql(  # type: ignore[override]  # of its arguments none is used
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        sql, params = compiler.compile(self.source_expressions[0])
        return _bounded(connection.vendor, sql, params)
