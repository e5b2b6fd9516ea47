"""``einfo``: what Celery's hooks and signals get beside an exception."""

from __future__ import annotations

from taskq import error_text


class ExceptionInfo:
    """An exception of a run, with its traceback as text.

    Attributes:
        exception: The exception; None where only its text is known.
        type: Its class.
        traceback: A text. It is masked where the task has sensitive arguments.
    """

    internal = False

    def __init__(self, exception: BaseException | None, traceback: str = "") -> None:
        self.exception = exception
        self.type = type(exception)
        self.traceback = traceback or (error_text.traceback(exception) if exception else "")
        self.tb = exception.__traceback__ if exception is not None else None

    def __str__(self) -> str:
        return self.traceback

    def __repr__(self) -> str:
        return f"<ExceptionInfo: {self.exception!r}>"
