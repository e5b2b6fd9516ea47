"""The handle on a task that was sent."""

from __future__ import annotations

import uuid

from django.db import connections, router

from taskq import sql
from taskq.models import Task


class AsyncResult:
    """A handle on a task that was sent.

    id: a UUID whose ``.int`` is the row's primary key. Given as UUID or as text.
    """

    __slots__ = ("_id", "_pk", "_using")

    def __init__(self, id: uuid.UUID | str, *, using: str | None = None) -> None:
        try:
            given = id if isinstance(id, uuid.UUID) else uuid.UUID(hex=id)
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{id!r} is no task id; give the UUID that delay() returned"
            ) from error
        self._id: uuid.UUID | None = given
        self._pk = given.int
        self._using = using

    @classmethod
    def of(cls, pk: int, using: str | None = None) -> AsyncResult:
        """The handle on the task with this primary key."""
        result = cls.__new__(cls)
        result._id, result._pk, result._using = None, pk, using
        return result

    @property
    def id(self) -> uuid.UUID:
        if self._id is None:  # many results are never asked
            self._id = uuid.UUID(int=self._pk)
        return self._id

    @property
    def task_id(self) -> uuid.UUID:
        return self.id

    def revoke(self) -> bool:
        """Remove the task if it has not started; leave it alone if it runs.

        Returns whether it was removed.
        """
        if self._pk >= 2**63:  # no primary key is that large: the id is not ours
            return False
        connection = connections[self._using or router.db_for_write(Task)]
        with connection.cursor() as cursor:
            cursor.execute(sql.REVOKE, {"id": self._pk})
            return bool(cursor.rowcount == 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other._pk == self._pk

    def __hash__(self) -> int:
        return hash(self._pk)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"
