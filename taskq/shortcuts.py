"""The shortcuts: parts of other packages that are not their public interface.

Each has one function here. It looks once whether its part is there and behaves as expected, and
returns it. Otherwise it returns None, and its caller takes the public way, which is slower and
means the same. ``TASKQ_SHORTCUTS=off`` in the environment leaves out all of them.

docs/explanation/shortcuts.md says what each earns.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
import os
import threading
from asyncio import _get_running_loop
from collections.abc import Callable
from json import encoder
from types import ModuleType
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.dispatch import Signal

log = logging.getLogger("taskq")

SWITCH = "TASKQ_SHORTCUTS"

Found = TypeVar("Found")


def are_off(environment: dict[str, str] | os._Environ[str] = os.environ) -> bool:
    """Whether the environment leaves out all shortcuts.

    Raises ImproperlyConfigured for a value of ``TASKQ_SHORTCUTS`` other than "on" and "off".
    """
    value = environment.get(SWITCH) or "on"
    if value not in ("on", "off"):
        raise ImproperlyConfigured(f"{SWITCH} is {value!r}: set it to 'off', or leave it out")
    return value == "off"


class Unexpected(Exception):
    """A part of another package is there, and is another one than expected."""


def shortcut(part: str) -> Callable[[Callable[[], Found]], Callable[[], Found | None]]:
    """Make a shortcut of a function that looks for a part of another package, and raises any
    error where that is not as expected."""

    def of(look: Callable[[], Found]) -> Callable[[], Found | None]:
        @functools.cache
        @functools.wraps(look)
        def found() -> Found | None:
            if are_off():
                return None
            try:
                return look()
            except Exception as error:  # of another release anything may be raised
                log.warning(
                    "%s is not as expected (%s: %s): taskq does without it, and is slower",
                    *(part, type(error).__name__, error),
                )
                return None

        return found

    return of


@shortcut("the storage of django.db.connections")
def storage_of_threads() -> threading.local:
    """Where Django keeps the connections of threads in which no event loop runs."""
    local: Any = connections._connections  # type: ignore[attr-defined]
    storage = local._storage
    if type(storage) is not threading.local:
        raise Unexpected(f"it is a {type(storage).__name__}")
    if _get_running_loop() is None:
        mark = object()
        local.taskq_mark = mark
        try:
            if getattr(storage, "taskq_mark", None) is not mark:
                raise Unexpected("connections are kept elsewhere")
        finally:
            del local.taskq_mark
    return storage


@shortcut("django.conf.settings._wrapped")
def loaded_settings() -> Callable[[], Any]:
    """The settings in force, that Django's lazy settings hold. The lazy ones run a function for
    each look, and raise and catch an error where a setting is missing."""
    known = settings.DATABASES  # which loads them, if nobody has yet
    loaded = functools.partial(object.__getattribute__, settings, "_wrapped")
    if loaded().DATABASES is not known:
        raise Unexpected("it holds other settings")
    return loaded


@shortcut("the receivers of a signal")
def receivers_of() -> Callable[[Signal], set[object]]:
    """From a signal to what its list of receivers has of each function: its ``id()``."""

    def receivers(signal: Signal) -> set[object]:
        return {entry[0][0] for entry in signal.receivers}

    def sample(**kwargs: object) -> None: ...

    signal = Signal()
    signal.connect(sample)
    if receivers(signal) != {id(sample)}:
        raise Unexpected("they are listed in another way")
    return receivers


@shortcut("json.encoder.c_make_encoder")
def json_dumps() -> Callable[[json.JSONEncoder], Callable[[Any], str]]:
    """From an encoder to what its ``encode()`` does."""
    sample = [["é", 1, 1.5, None], {"a": {}}]
    plain = json.JSONEncoder(separators=(",", ":"))
    if _dumps_by_c(plain)(sample) != '[["\\u00e9",1,1.5,null],{"a":{}}]':
        raise Unexpected("it makes another text")
    return _dumps_by_c


def _dumps_by_c(plain: json.JSONEncoder) -> Callable[[Any], str]:
    """By one function of C's. The encoder makes such a function for each call, and looks at much
    before. That takes as long again for a handful of arguments."""
    make: Any = encoder.c_make_encoder  # type: ignore[attr-defined]
    # What is being encoded, in any thread: so it sees that something contains itself.
    marks: dict[int, Any] = {}
    encode = make(
        marks,
        plain.default,
        encoder.encode_basestring_ascii,
        plain.indent,
        plain.key_separator,
        plain.item_separator,
        plain.sort_keys,
        plain.skipkeys,
        plain.allow_nan,
    )

    def dumps(value: Any) -> str:
        try:
            return "".join(encode(value, 0))
        except Exception:
            # An error leaves its marks, and two threads that encode the same list see each other's.
            marks.clear()
            return plain.encode(value)  # which raises what is really wrong, if anything is

    return dumps


@shortcut("psycopg.generators")
def libpq() -> ModuleType:
    """psycopg's generators, with which statements go to libpq without a cursor."""
    import psycopg
    from psycopg import generators
    from psycopg.adapt import Transformer

    for name in "execute", "send", "fetch":
        _callable(generators, name)
    for name in "dump_sequence", "set_pgresult", "load_rows":
        _callable(Transformer, name)
    _takes(psycopg.Connection.wait, "self gen")
    _sets(psycopg.Connection, "lock")
    return generators


@shortcut("psycopg's PrepareManager")
def prepare_manager() -> type:
    """What psycopg asks for each statement whether to prepare it."""
    import psycopg
    from psycopg._preparing import PrepareManager

    _takes(PrepareManager.maybe_add_to_cache, "self query prep name")
    _sets(psycopg.Connection, "_prepared")
    return PrepareManager


@shortcut("the steps of psycopg.Cursor.execute()")
def steps_of_execute() -> type:
    """psycopg's cursor that puts values into the text, whose steps send a BEGIN along."""
    import psycopg

    cursor = psycopg.ClientCursor
    _takes(cursor._execute_gen, "self query")
    _takes(cursor._start_query, "self")
    _takes(cursor._execute_send, "self query")
    _takes(cursor._set_results, "self results")
    _sets(psycopg.Connection, "_autocommit")
    return cursor


def _callable(owner: object, name: str) -> None:
    if not callable(getattr(owner, name)):
        raise Unexpected(f"{name} is no function")


def _takes(function: Callable[..., Any], first: str) -> None:
    """Raise Unexpected unless these are the first parameters of a function."""
    parameters = list(inspect.signature(function).parameters)
    if parameters[: len(first.split())] != first.split():
        raise Unexpected(f"{function.__qualname__} takes {', '.join(parameters)}")


def _sets(owner: type, name: str) -> None:
    """Raise Unexpected unless an instance of a class has this attribute from its start."""
    makers = [vars(each)["__init__"] for each in owner.__mro__ if "__init__" in vars(each)]
    if not any(name in each.__code__.co_names for each in makers if inspect.isfunction(each)):
        raise Unexpected(f"{owner.__name__} has no {name}")
