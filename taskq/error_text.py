"""An exception as text that a database column takes.

All of it runs code of the exception: ``__str__``, ``__getattr__``, ``__notes__``, the names of its
class. Nothing here raises, whatever that code does.
"""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Callable

#: The most characters that are kept of a class's path, an error and a traceback.
KIND_LENGTH = 500
ERROR_LENGTH = 2_000
TRACEBACK_LENGTH = 64_000


def kind(error: BaseException) -> str:
    """The path of the exception's class."""
    cls = type(error)
    return _first_of(
        lambda: ".".join((_text(cls.__module__), _text(cls.__qualname__))),
        lambda: type.__dict__["__name__"].__get__(cls),
        length=KIND_LENGTH,
    )


def message(error: BaseException) -> str:
    """The exception's class and message, as in the last line of a traceback."""
    return _first_of(
        lambda: "".join(tracebacks.format_exception_only(error)).strip(),
        lambda: f"{kind(error)}: {error!s}",
        lambda: f"{kind(error)}: {BaseException.__str__(error)}",
        lambda: f"{kind(error)}: (its text cannot be shown)",
        length=ERROR_LENGTH,
    )


def traceback(error: BaseException) -> str:
    """The exception's traceback, with its causes if they can be shown."""
    return _first_of(
        lambda: "".join(tracebacks.format_exception(error)),
        lambda: "".join(
            [
                "Traceback (most recent call last):\n",
                *tracebacks.format_tb(BaseException.__dict__["__traceback__"].__get__(error)),
                message(error),
            ]
        ),
        lambda: f"(the traceback cannot be shown)\n{message(error)}",
        length=TRACEBACK_LENGTH,
    )


def storable(text: str, length: int) -> str:
    """Text that a database column takes: no NUL, no lone surrogates, at most ``length`` long."""
    clean = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    if len(clean) <= length:
        return clean
    half = length // 2
    return f"{clean[:half]}\n… {len(clean) - 2 * half} characters left out …\n{clean[-half:]}"


def _first_of(*ways: Callable[[], str], length: int) -> str:
    """The text from the first of these functions that does not raise."""
    for way in ways:
        try:
            return storable(_text(way()), length)
        except BaseException:  # the exception's own code may raise anything, SystemExit too
            continue
    return "an exception that cannot be shown"


def _text(value: object) -> str:
    """A plain str: a class derived from str has methods of its own."""
    if not issubclass(type(value), str):
        raise TypeError("no text")
    return str.__str__(value)
