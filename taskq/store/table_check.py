"""Whether the database has all tables and columns of this version."""

from __future__ import annotations

from django.apps import apps
from django.db import connections

from pool import clock
from taskq import events
from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning
from taskq.store.refusals import NEVER
from taskq.store.session import StoreSession
from taskq.store.tasks import TaskStore


class TableCheck:
    """Looks once on each connection, and again and again while something is missing.

    It stops nothing: what is missing may never be needed. A statement that needs it fails anyway.

    again: seconds between two looks while something is missing.

    Attributes:
        complete: Whether nothing was missing at the last look.
        due: When to look again on the same connection, by ``pool.clock``.
    """

    def __init__(self, session: StoreSession, alias: str, *, again: float) -> None:
        self.complete = True
        self.due: int = NEVER
        self._session = session
        self._again = clock.nanoseconds(again)
        self._looked_on: TaskStore | None = None
        self._statements = _statements(alias)

    def look(self) -> None:
        """Look, if it is time to."""
        store, now = self._session.store(), clock.now()
        if store is self._looked_on and now < self.due:
            return
        missing = _missing(store, self._statements)
        if missing is not None and self.complete:
            events.tables_missing(self._session.owner, missing)
        self.complete = missing is None
        self.due = NEVER if self.complete else now + self._again
        self._looked_on = store


def _statements(alias: str) -> list[str]:
    """For each table a statement that names all its columns, and reads no row."""
    quote = connections[alias].ops.quote_name
    found = []
    for model in apps.get_app_config("taskq").get_models():
        names = [field.column for field in model._meta.concrete_fields if field.column]
        found.append(
            f"SELECT {', '.join(map(quote, names))} FROM {quote(model._meta.db_table)} WHERE 1 = 0"
        )
    return found


def _missing(store: TaskStore, statements: list[str]) -> Exception | None:
    """The database's answer that names what is missing; None when nothing is."""
    for statement in statements:
        try:
            store.connection.rows(statement, {})
        except DATABASE_ERRORS as error:
            match meaning(error):
                case Meaning.UNMIGRATED:
                    return error
                case Meaning.ANSWER:  # a table that this role may not read is there
                    continue
                case _:
                    raise
    return None
