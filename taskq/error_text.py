"""An exception as text that a database column takes.

All of it runs code of the exception: ``__str__``, ``__getattr__``, ``__notes__``, the names of its
class. Nothing here raises, whatever that code does.
"""

from __future__ import annotations

import os
import sys
import traceback as tracebacks
from collections.abc import Callable
from types import CodeType, TracebackType

#: The most characters that are kept of a class's path, an error and a traceback.
KIND_LENGTH = 500
ERROR_LENGTH = 2_000
TRACEBACK_LENGTH = 64_000

#: Where taskq itself is.
_OWN = os.path.dirname(__file__) + os.sep
#: Python's text of places that stood in tracebacks, and their code. Making it takes 30 µs for each,
#: most of it for the marks below a line. The key has the id of the code, whose hash takes long.
_PLACES: dict[tuple[int, int], tuple[CodeType, str]] = {}
_MOST_PLACES = 1_000
#: Errors of which Python says more than their class and their message.
_WITH_MORE = (SyntaxError, NameError, AttributeError, ImportError, BaseExceptionGroup)


def kind(error: BaseException) -> str:
    """The path of the exception's class."""
    cls = type(error)
    return _first_of(
        lambda: ".".join((_text(cls.__module__), _text(cls.__qualname__))),
        lambda: type.__dict__["__name__"].__get__(cls),
        length=KIND_LENGTH,
    )


def message(error: BaseException, hide: Callable[[str], str] | None = None) -> str:
    """The exception's class and message, as in the last line of a traceback.

    hide: masks what must not be seen in it.
    """
    return _first_of(
        lambda: _last_lines(error).strip(),
        lambda: "".join(tracebacks.format_exception_only(error)).strip(),
        lambda: f"{kind(error)}: {error!s}",
        lambda: f"{kind(error)}: {BaseException.__str__(error)}",
        lambda: f"{kind(error)}: (its text cannot be shown)",
        length=ERROR_LENGTH,
        hide=hide,
    )


def traceback(error: BaseException, hide: Callable[[str], str] | None = None) -> str:
    """The exception's traceback, with its causes if they can be shown. hide: as above.

    It begins with the task's own function: the frames that led to it are the same each time.
    """
    return _first_of(
        lambda: (
            _plain_traceback(error)
            or "".join(tracebacks.format_exception(type(error), error, _from_the_task(error)))
        ),
        lambda: "".join(
            [
                "Traceback (most recent call last):\n",
                *tracebacks.format_tb(_from_the_task(error)),
                message(error),
            ]
        ),
        lambda: f"(the traceback cannot be shown)\n{message(error)}",
        length=TRACEBACK_LENGTH,
        hide=hide,
    )


def _plain_traceback(error: BaseException) -> str:
    """What Python's ``format_exception()`` makes of an error without causes and notes. Empty for
    any other error."""
    of, cls = BaseException.__dict__, type(error)
    context, suppressed = (
        of["__context__"].__get__(error),
        of["__suppress_context__"].__get__(error),
    )
    if (
        issubclass(cls, _WITH_MORE)
        or of["__cause__"].__get__(error) is not None
        or not (context is None or suppressed)
        or hasattr(error, "__notes__")
        or hasattr(sys, "tracebacklimit")
    ):
        return ""
    places = _places(_from_the_task(error))
    if not places:
        return ""
    return "".join(["Traceback (most recent call last):\n", *places, _last_lines(error)])


def _last_lines(error: BaseException) -> str:
    """What Python's ``format_exception_only()`` makes of an error. That takes 10 µs, which most
    errors do not need: nothing stands behind their message."""
    cls = type(error)
    if issubclass(cls, _WITH_MORE) or hasattr(error, "__notes__"):
        return "".join(tracebacks.format_exception_only(error))
    name, module, said = _text(cls.__qualname__), _text(cls.__module__), _text(str(error))
    if module not in ("__main__", "builtins"):
        name = f"{module}.{name}"
    return f"{name}: {said}\n" if said else f"{name}\n"


def _from_the_task(error: BaseException) -> TracebackType | None:
    """The error's traceback without the first frames, those of taskq. All of it where no other
    frame is left."""
    whole: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(error)
    rest = whole
    while rest is not None and rest.tb_frame.f_code.co_filename.startswith(_OWN):
        rest = rest.tb_next
    return rest or whole


def _places(traceback: TracebackType | None) -> list[str]:
    """The text of each place of a traceback. None of a recursion, which Python abridges."""
    found: list[str] = []
    before = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code is before:
            return []
        place = id(code), traceback.tb_lasti
        if place not in _PLACES:
            if len(_PLACES) >= _MOST_PLACES:
                _PLACES.clear()
            _PLACES[place] = code, "".join(tracebacks.format_tb(traceback, 1))
        found.append(_PLACES[place][1])
        before, traceback = code, traceback.tb_next
    return found


def storable(text: str, length: int) -> str:
    """Text that a database column takes: no NUL, no lone surrogates, at most ``length`` long."""
    clean = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    if len(clean) <= length:
        return clean
    half = length // 2
    return f"{clean[:half]}\n… {len(clean) - 2 * half} characters left out …\n{clean[-half:]}"


def _first_of(
    *ways: Callable[[], str], length: int, hide: Callable[[str], str] | None = None
) -> str:
    """The text from the first of these functions that does not raise."""
    for way in ways:
        try:
            text = _text(way())
            # Before it is cut: half of a value is not found.
            return storable(text if hide is None else hide(text), length)
        except BaseException:  # the exception's own code may raise anything, SystemExit too
            continue
    return "an exception that cannot be shown"


def _text(value: object) -> str:
    """A plain str: a class derived from str has methods of its own."""
    if not issubclass(type(value), str):
        raise TypeError("no text")
    return str.__str__(value)
