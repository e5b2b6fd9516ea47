"""Columns that SQLite returns in their declared types.

A cell of SQLite can hold a value of any type, whatever its column says, and people write rows by
SQL too. One text in a column of numbers, or bytes in a column of texts, would make every list
with that row an error. So the database casts what it returns. Comparisons, indexes and the order
of rows use the stored value. PostgreSQL refuses such values, so nothing changes there. Times are
read by ``taskq.models.moment_field``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Func, Model
from django.db.models.sql.compiler import SQLCompiler

from taskq.sql.sqlite.cast import BOOLEAN, INTEGER, REAL, TEXT

M = TypeVar("M", bound=type[Model])

#: The cast for each kind of field, with the column as ``{0}``.
_READ = {
    "CharField": TEXT,
    "TextField": TEXT,
    "SmallIntegerField": INTEGER,
    "IntegerField": INTEGER,
    "BigIntegerField": INTEGER,
    "ForeignKey": INTEGER,
    "FloatField": REAL,
    "BooleanField": BOOLEAN,
}


def read_as_declared(model: M) -> M:
    """Make the columns of a model return their declared types. Returns the model."""
    for field in model._meta.concrete_fields:
        if template := _READ.get(field.get_internal_type()):
            read: Callable[..., Any] = partial(_select, template)
            field.select_format = read  # type: ignore[method-assign]
    return model


class AsText(Func):
    """The same cast for a text inside of an expression, because a part of bytes would be bytes."""

    arity = 1
    output_field = CharField()

    def as_sql(  # type: ignore[override]  # of its arguments none is used
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        return _select(TEXT, compiler, *compiler.compile(self.source_expressions[0]))


def _select(
    template: str, compiler: SQLCompiler, sql: str, params: Sequence[Any]
) -> tuple[str, tuple[Any, ...]]:
    if compiler.connection.vendor != "sqlite":
        return sql, (*params,)
    return template.format(sql), (*params,) * template.count("{0}")
