"""A site that names no adapter imports no other package for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.postgresql  # no database is used: to run it once is enough

OTHERS = {"opentelemetry", "sentry_sdk", "django_tenants", "prometheus_client"}
CODE = """
import sys, django
django.setup()
import taskq.worker.worker, taskq.keeper.keeper, taskq.management.serve
print(*sys.modules)
"""


def test_a_pool_imports_no_package_of_an_adapter():
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "stress.project.settings"}
    answer = subprocess.run(
        [sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True
    )
    imported = set(answer.stdout.split())
    assert "taskq.task.masking" in imported
    assert not imported & OTHERS
    assert not [name for name in imported if name.startswith("taskq.contrib.")]
