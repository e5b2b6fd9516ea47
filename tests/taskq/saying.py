"""Tasks for a test to run itself, and what they said."""

from __future__ import annotations

import datetime

import pytest

from taskq.celery import shared_task

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def said():
    """What the tasks said that ran in the test."""
    del _said[:]
    return _said


_said: list[object] = []


@shared_task
def say(word, at=None):
    _said.append(word)


@shared_task(autoretry_for=(ValueError,), retry_backoff=60, retry_jitter=False, max_retries=2)
def fail(text="no good"):
    _said.append(text)
    raise ValueError(text)


@shared_task(ignore_result=False)
def double(number):
    return 2 * number
