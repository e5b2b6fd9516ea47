"""Metrics for Prometheus: ``view`` for the URLs of a site, and what a pool serves on its port."""

from __future__ import annotations

import importlib.util

from django.core.exceptions import ImproperlyConfigured

if importlib.util.find_spec("prometheus_client") is None:
    raise ImproperlyConfigured(
        "taskq.metrics needs prometheus-client, which is not installed: "
        "pip install 'taskq-pool[metrics]'"
    )

from taskq.metrics.view import view

__all__ = ["view"]
