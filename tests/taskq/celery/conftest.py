"""Sites that run a task where it is sent, and what tests of the canvas and of apps share."""

from __future__ import annotations

import pytest

from taskq.celery import Celery, Task, apps, eager
from taskq.celery.options_in_force import settle
from taskq.schedules import celery_form
from taskq.task import discovery, registry
from tests.taskq.celery import canvas_tasks


@pytest.fixture
def sent_eagerly(settings, monkeypatch):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


@pytest.fixture
def propagates(settings):
    settings.CELERY_TASK_EAGER_PROPAGATES = True


@pytest.fixture
def nothing_ran():
    """``canvas_tasks.ran`` has the runs of this test alone."""
    canvas_tasks.ran.clear()


@pytest.fixture
def no_apps(monkeypatch, settings):
    """The apps that a test makes are gone afterwards, with what they have changed."""
    monkeypatch.setattr(apps, "_apps", [])
    monkeypatch.setattr(apps, "_current", None)
    monkeypatch.setattr(celery_form, "_sources", [])
    for name in ("_more", "_then"):
        monkeypatch.setattr(discovery, name, [])
    monkeypatch.setattr(eager, "_always", None)
    monkeypatch.setattr(eager, "_propagates", None)
    yield
    monkeypatch.setattr(apps, "_apps", [])
    monkeypatch.setattr(apps, "_current", None)
    for definition in registry.definitions():
        if isinstance(definition.bound, Task):
            settle(definition.bound)


@pytest.fixture
def app(settings, no_apps):
    app = Celery("proj")
    app.config_from_object("django.conf:settings", namespace="CELERY")
    return app
