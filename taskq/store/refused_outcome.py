"""An outcome that the database does not take, and what is written in its place."""

from __future__ import annotations

from taskq.events import first_line

#: Characters of an error that are kept where no more can be written.
PLAIN_LENGTH = 500


class RowKept(Exception):
    """An outcome touched no row, though the row is there and its worker holds it."""

    def __init__(self) -> None:
        super().__init__(
            "the database keeps the row as it is: is there a trigger or a row security policy on "
            "taskq_task?"
        )


def plain_refusal(error: Exception) -> str:
    """That an outcome was refused, in text that any database can write."""
    text = f"its outcome could not be written: {first_line(error)}"
    text = text.encode("ascii", "backslashreplace").decode()[:PLAIN_LENGTH]
    return text.replace("\0", "\\x00")
