"""Fixtures for pytest. It finds them where this package and pytest-django are installed.

A fixture imports Django's code only when it is used, because the settings may not be known before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from taskq.testing import Enqueued, Report


@pytest.fixture
def taskq_run_all(db: None) -> Callable[..., Report]:
    """:func:`taskq.testing.run_all`, with a database."""
    from taskq.testing import run_all

    return run_all


@pytest.fixture
def taskq_advance(db: None) -> Callable[..., None]:
    """:func:`taskq.testing.advance`, with a database."""
    from taskq.testing import advance

    return advance


@pytest.fixture
def taskq_captured_tasks(db: None) -> Callable[..., AbstractContextManager[list[Enqueued]]]:
    """:func:`taskq.testing.captured_tasks`, with a database."""
    from taskq.testing import captured_tasks

    return captured_tasks


@pytest.fixture
def taskq_assert_enqueued(db: None) -> Callable[..., list[Enqueued]]:
    """:func:`taskq.testing.assert_enqueued`, with a database."""
    from taskq.testing import assert_enqueued

    return assert_enqueued


@pytest.fixture
def taskq_send_ticks(db: None) -> Callable[..., int]:
    """:func:`taskq.testing.send_ticks`, with a database."""
    from taskq.testing import send_ticks

    return send_ticks


@pytest.fixture
def taskq_eager(settings: Any) -> None:
    """Tasks of ``shared_task`` run at once in the caller, and raise their errors there."""
    settings.CELERY_TASK_ALWAYS_EAGER = True
    settings.CELERY_TASK_EAGER_PROPAGATES = True
