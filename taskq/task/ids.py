"""A task's id: the row's primary key, and the texts that people and programs write it as."""

from __future__ import annotations

import builtins
import uuid

#: Above all primary keys.
TOO_LARGE = 2**63
#: No primary key has so many digits; the UUID of one may, written without its dashes.
_DIGITS = 20


class TaskId(str):
    """The id that ``delay()`` returns: the text of a UUID, a str as Celery's ids are.

    ``.int`` is the row's primary key, ``.hex`` the text without its dashes. Both raise
    ValueError for an id that is no UUID.
    """

    __slots__ = ()

    @classmethod
    def of(cls, pk: builtins.int) -> TaskId:
        """The id of the task with this primary key. One below 0, of a row that was written by
        hand, makes no UUID, and is its own text."""
        return cls(uuid.UUID(int=pk) if pk >= 0 else pk)

    @property
    def int(self) -> builtins.int:
        return uuid.UUID(self).int

    def __int__(self) -> builtins.int:
        """As of a UUID, and so ``Task.objects.get(pk=result.id)`` finds the row."""
        return self.int

    @property
    def hex(self) -> str:
        return uuid.UUID(self).hex


def parse(given: str | uuid.UUID | int) -> int:
    """The primary key: from itself, as a number or as text, with or without ``#``, or from the
    UUID that ``AsyncResult`` shows. It may be above all that there are.

    Raises ValueError for what is none of these.
    """
    if isinstance(given, uuid.UUID):
        return given.int
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**128:
        return given
    if not isinstance(given, str):
        raise ValueError(f"{given!r} is no task id: give the id that delay() returned")
    number = given.removeprefix("#")
    if number.isdecimal() and len(number) < _DIGITS:
        return int(number)
    return uuid.UUID(given).int
