"""An order as a script that a person can follow."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from stress.explore.conductor import Order
from taskq.sql import postgresql

_LENGTH = 70


def script(order: Order, case: str) -> str:
    """Each step of an order, and what was wrong at its end."""
    lease = "good" if order.alive else "over"
    lines = [f"{case}: {', '.join(order.actors)}; the lease of the worker is {lease}"]
    width = max(len(name) for name, *_ in order.steps)
    for number, (name, statement, held_up) in enumerate(order.steps, 1):
        waits = f"   ({', '.join(held_up)} must wait)" if held_up else ""
        lines.append(f"{number:4}. {name:{width}}  {_name(statement)}{waits}")
    return "\n".join([*lines, *(f"    ! {text}" for text in dict.fromkeys(order.broken))])


def _name(statement: str) -> str:
    """A statement of taskq by its name, any other one by its beginning."""
    text = " ".join(statement.split())
    known = _names().get(text)
    return known or (text if len(text) <= _LENGTH else f"{text[: _LENGTH - 2]} …")


@functools.cache
def _names() -> dict[str, str]:
    """Text -> name of all statements for PostgreSQL, as they are now."""
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(postgresql.__path__):
        held = importlib.import_module(f"{postgresql.__name__}.{module.name}")
        for name, value in vars(held).items():
            for text in value if isinstance(value, tuple) else (value,):
                if name.isupper() and not name.startswith("_") and isinstance(text, str):
                    found.setdefault(" ".join(text.split()), f"{module.name}.{name}")
    return found
