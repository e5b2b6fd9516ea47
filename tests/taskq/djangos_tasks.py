"""Django's own tasks, or their backport: a file that imports this is skipped without them."""

from __future__ import annotations

import pytest
from django.apps import apps

if not apps.is_installed("tests.project.native"):
    reason = "neither django.tasks (Django 6.0) nor django-tasks is installed"
    pytest.skip(reason, allow_module_level=True)

from tests.project.native import tasks as native

__all__ = ["native"]
