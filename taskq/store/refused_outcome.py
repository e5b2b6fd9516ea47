"""What is written in place of an outcome that the database refuses."""

from __future__ import annotations

from taskq.events import first_line

#: The most characters of an error that stand in such a plain outcome.
PLAIN_LENGTH = 500


class RowKept(Exception):
    """Writing an outcome changed no row, though the row exists and its worker holds it."""

    def __init__(self) -> None:
        super().__init__(
            "the database keeps the row as it is: is there a trigger or a row security policy on "
            "taskq_task?"
        )


def plain_refusal(error: Exception) -> str:
    """An error text for a refused outcome, in characters that any database can store."""
    text = f"its outcome could not be written: {first_line(error)}"
    text = text.encode("ascii", "backslashreplace").decode()[:PLAIN_LENGTH]
    return text.replace("\0", "\\x00")
