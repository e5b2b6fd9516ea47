"""Times of the tables, limited to what Python can hold.

People write rows by SQL too. PostgreSQL accepts ``infinity`` and years before Christ, and SQLite
accepts any text. Python's years are 1 to 9999, so one such row would make every list with it an
error. So the database limits what it returns. Comparisons, indexes and the order of rows use the
stored value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    DateField,
    DateTimeField,
    DurationField,
    Expression,
    ExpressionWrapper,
    Func,
)
from django.db.models.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    Base = DateTimeField[Any, Any]
    DayBase = DateField[Any, Any]
else:
    Base = DateTimeField
    DayBase = DateField

#: The first and the last moment that is shown. They are a day inside of Python's own limits, so
#: that every time zone has them.
FIRST, LAST = "0001-01-02 00:00:00", "9999-12-30 00:00:00"

#: The limited value by vendor, with the column as ``{0}``.
_BOUNDED = {
    # LEAST and GREATEST ignore NULL, which must stay NULL.
    "postgresql": (
        f"CASE WHEN {{0}} IS NOT NULL THEN LEAST(GREATEST({{0}}, TIMESTAMPTZ '{FIRST}+00'), "
        f"TIMESTAMPTZ '{LAST}+00') END"
    ),
    # A text is a time if strftime() returns it unchanged after a step of 0 days. The step moves a
    # day that its month does not have to the next month. Any other text is NULL. Parts of a second
    # are cut off, because rounding could reach the year 10000.
    "sqlite": (
        "CASE WHEN strftime('%%Y-%%m-%%d %%H:%%M:%%S', substr({0}, 1, 19), '+0 days') "
        "LIKE replace(substr({0}, 1, 19), 'T', ' ') || '%%' "
        "AND substr({0}, 20) NOT GLOB '*[^.0-9+:Z-]*' "
        f"THEN min(max({{0}}, '{FIRST}'), '{LAST}') END"
    ),
}
#: The same for days. No day is infinite to date() of SQLite, which returns its own form of one.
_BOUNDED_DAY = {
    "postgresql": (
        f"CASE WHEN {{0}} IS NOT NULL THEN LEAST(GREATEST({{0}}, DATE '{FIRST[:10]}'), "
        f"DATE '{LAST[:10]}') END"
    ),
    "sqlite": (
        f"CASE WHEN date({{0}}, '+0 days') = {{0}} "
        f"THEN min(max({{0}}, '{FIRST[:10]}'), '{LAST[:10]}') END"
    ),
}


def _bounded(vendor: str, sql: str, params: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    template = _BOUNDED[vendor]
    return template.format(sql), (*params,) * template.count("{0}")


class MomentField(Base):
    """A DateTimeField that returns the nearest moment that Python has. On SQLite, a value that is
    no time is None. Migrations treat it as a DateTimeField."""

    def select_format(
        self, compiler: SQLCompiler, sql: str, params: Sequence[Any]
    ) -> tuple[str, tuple[Any, ...]]:
        # DISTINCT can be ordered only by a selected value, so the column itself is selected.
        if compiler.query.distinct or compiler.connection.vendor not in _BOUNDED:
            return sql, (*params,)
        return _bounded(compiler.connection.vendor, sql, params)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.DateTimeField", args, kwargs


class DayField(DayBase):
    """The same for a DateField."""

    def select_format(
        self, compiler: SQLCompiler, sql: str, params: Sequence[Any]
    ) -> tuple[str, tuple[Any, ...]]:
        template = _BOUNDED_DAY.get(compiler.connection.vendor)
        if compiler.query.distinct or template is None:
            return sql, (*params,)
        return template.format(sql), (*params,) * template.count("{0}")

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.DateField", args, kwargs


class Bounded(Func):
    """The limited moment inside of an expression: no vendor can subtract infinite times."""

    arity = 1
    output_field = MomentField()

    def as_sql(  # type: ignore[override]  # of its arguments none is used
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        sql, params = compiler.compile(self.source_expressions[0])
        return _bounded(connection.vendor, sql, params)


def span(difference: Any) -> Expression:
    """The time between two moments, for their difference in SQL."""
    return ExpressionWrapper(difference, output_field=DurationField())
