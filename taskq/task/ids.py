"""A task's id: the primary key of its row, and the texts in which people and programs write it."""

from __future__ import annotations

import builtins
import uuid

#: Larger than every primary key.
TOO_LARGE = 2**63
#: No primary key has so many digits. A UUID without its dashes may consist of so many.
_DIGITS = 20
#: What to give, for the text of an error.
WANTED = "give its number, or the UUID that delay() returned"


class TaskId(str):
    """The id that ``delay()`` returns: the text of a UUID. It is a str, as Celery's ids are.

    ``.int`` is the primary key of the row. ``.hex`` is the text without its dashes. Both raise
    ValueError when the id is no UUID.
    """

    __slots__ = ()

    @classmethod
    def of(cls, pk: builtins.int) -> TaskId:
        """The id of the task with this primary key.

        A key below 0 makes no UUID, so the id is then the key's own text. Only rows that were
        written by hand have one.
        """
        if pk < 0:
            return cls(pk)
        hex = f"{pk:032x}"  # a UUID object would take three times as long
        return cls(f"{hex[:8]}-{hex[8:12]}-{hex[12:16]}-{hex[16:20]}-{hex[20:]}")

    @property
    def int(self) -> builtins.int:
        return uuid.UUID(self).int

    def __int__(self) -> builtins.int:
        """The primary key, as ``int()`` of a UUID: ``Task.objects.get(pk=result.id)`` needs it."""
        return self.int

    @property
    def hex(self) -> str:
        return uuid.UUID(self).hex


def is_of_a_row(text: str) -> bool:
    """Whether a text is the id of a row, in any of its forms."""
    try:
        return parse(text) < TOO_LARGE
    except ValueError:
        return False


def parse(given: str | uuid.UUID | int) -> int:
    """The primary key from any form of an id.

    given: the key as a number or as text, with or without ``#``; or the UUID that
        ``AsyncResult`` shows. The result may be larger than every existing key.

    Raises ValueError for anything else.
    """
    if isinstance(given, uuid.UUID):
        return given.int
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**128:
        return given
    if not isinstance(given, str):
        raise ValueError(f"{given!r} is no task id: {WANTED}")
    number = given.removeprefix("#")
    if number.isdecimal() and len(number) < _DIGITS:
        return int(number)
    try:
        return uuid.UUID(given).int
    except ValueError as error:
        raise ValueError(f"{given!r} is no task id: {WANTED}") from error
