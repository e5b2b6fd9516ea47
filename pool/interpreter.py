"""State of Python and the C library that a run may change: how to read it and put it back.

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
    """The streams and the files behind them: a run may have put another file in their place."""
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
    warnings.resetwarnings()  # this forgets which warnings were shown already
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
    """The policy, and whether ``asyncio.get_event_loop()`` gives a loop.

    It gives one until ``asyncio.run()`` was called.
    """
    # A loop may run in a greenlet, for example. Django would then refuse all queries.
    if asyncio._get_running_loop() is not None:
        raise ValueError("one of them still runs")
    policy = asyncio.get_event_loop_policy()
    loop, called = _own_loop(policy)
    return policy, not (called if loop is None else loop.is_closed())


def _own_loop(policy: Any) -> tuple[Any, bool]:
    """The loop of the main thread, and whether one was ever set.

    None and False when a library has its own kind of policy.
    """
    own = getattr(policy, "_local", None)
    return getattr(own, "_loop", None), getattr(own, "_set_called", False)


def set_event_loops(was: tuple[asyncio.AbstractEventLoopPolicy, bool]) -> None:
    policy, _ = was
    asyncio.set_event_loop_policy(policy)
    if _own_loop(policy) != (None, False):
        own: Any = policy._local  # type: ignore[attr-defined]
        own._loop, own._set_called = None, False
