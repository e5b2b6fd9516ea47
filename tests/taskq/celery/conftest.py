"""Sites that run a task where it is sent."""

from __future__ import annotations

import pytest

from taskq.task import registry


@pytest.fixture
def sent_eagerly(settings, monkeypatch):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


@pytest.fixture
def propagates(settings):
    settings.CELERY_TASK_EAGER_PROPAGATES = True
