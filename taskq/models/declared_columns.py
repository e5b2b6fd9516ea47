"""Columns that SQLite reads as they are declared.

A cell of SQLite holds a value of any type, whatever its column says, and rows are written by SQL
as well. A text in a column of numbers, or bytes in one of texts, would make every list with that
row an error. So the database itself casts what it returns. Comparisons, indexes and the order of
rows keep the true value, and so does PostgreSQL, which refuses such a value. Times are read by
``taskq.models.moment_field``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Func, Model
from django.db.models.sql.compiler import SQLCompiler

from taskq.sql.sqlite.cast import BOOLEAN, INTEGER, TEXT

M = TypeVar("M", bound=type[Model])

#: By the kind of a field, of the column ``{0}``.
_READ = {
    "CharField": TEXT,
    "TextField": TEXT,
    "SmallIntegerField": INTEGER,
    "IntegerField": INTEGER,
    "BigIntegerField": INTEGER,
    "ForeignKey": INTEGER,
    "BooleanField": BOOLEAN,
}


def read_as_declared(model: M) -> M:
    """A model whose columns are read so."""
    for field in model._meta.concrete_fields:
        if template := _READ.get(field.get_internal_type()):
            read: Callable[..., Any] = partial(_select, template)
            field.select_format = read  # type: ignore[method-assign]
    return model


class AsText(Func):
    """The same of a text within an expression: a part of bytes would be bytes."""

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
