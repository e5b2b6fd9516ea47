"""What a run may change of Python and the C library: how it is looked at, and put back.

The list is in :mod:`pool.leftovers`.
"""

from __future__ import annotations

import asyncio
import decimal
import os
import sys
import time
import warnings
from typing import Any


def zone() -> tuple[str | None, tuple[str, str]]:
    return os.environ.get("TZ"), time.tzname


def set_zone(was: tuple[str | None, tuple[str, str]]) -> None:
    if was[0] is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = was[0]
    time.tzset()


def streams() -> tuple[object, ...]:
    """The files behind them too: one that others stand in for may be a socket by now."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and stream.closed:
            raise ValueError("it is closed")
    files = [os.fstat(descriptor) for descriptor in (1, 2)]
    return sys.stdout, sys.stderr, *((file.st_dev, file.st_ino) for file in files)


def set_streams(was: tuple[object, ...]) -> None:
    sys.stdout, sys.stderr = was[:2]
    if streams() != was:
        raise ValueError("its descriptor is another file")


def errors_by_warnings() -> list[Any]:
    return [each for each in warnings.filters if each[0] == "error"]


def set_errors_by_warnings(was: list[Any]) -> None:
    kept = [each for each in warnings.filters if each[0] != "error" or each in was]
    warnings.resetwarnings()  # what warned already is forgotten by that
    warnings.filters.extend(kept)  # type: ignore[attr-defined]


_DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def decimal_context() -> tuple[list[Any], dict[Any, bool]]:
    context = decimal.getcontext()
    return [getattr(context, name) for name in _DECIMAL], dict(context.traps)


def set_decimal_context(was: tuple[list[Any], dict[Any, bool]]) -> None:
    context = decimal.getcontext()
    for name, value in zip(_DECIMAL, was[0], strict=True):
        setattr(context, name, value)
    context.traps.update(was[1])


def event_loops() -> tuple[asyncio.AbstractEventLoopPolicy, bool]:
    """Who makes them, and whether ``asyncio.get_event_loop()`` gives one, which it does until
    ``asyncio.run()`` was called."""
    if asyncio._get_running_loop() is not None:  # in a greenlet, say; Django refuses all queries
        raise ValueError("one of them still runs")
    policy = asyncio.get_event_loop_policy()
    loop, called = _own_loop(policy)
    return policy, not (called if loop is None else loop.is_closed())


def _own_loop(policy: Any) -> tuple[Any, bool]:
    """The main thread's, and whether one was set; nothing of both where a library has made the
    policy in its own way."""
    own = getattr(policy, "_local", None)
    return getattr(own, "_loop", None), getattr(own, "_set_called", False)


def set_event_loops(was: tuple[asyncio.AbstractEventLoopPolicy, bool]) -> None:
    policy, _ = was
    asyncio.set_event_loop_policy(policy)
    if _own_loop(policy) != (None, False):
        own: Any = policy._local  # type: ignore[attr-defined]
        own._loop, own._set_called = None, False
