"""Receivers of signals that a test connects, and that are gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from django.dispatch import Signal


@contextmanager
def as_before(module: ModuleType) -> Iterator[None]:
    """The receivers of the module's signals are afterwards as they were before."""
    every = [each for each in vars(module).values() if isinstance(each, Signal)]
    before = [list(each.receivers) for each in every]
    yield
    for each, receivers in zip(every, before, strict=True):
        each.receivers[:] = receivers
        each.sender_receivers_cache.clear()
