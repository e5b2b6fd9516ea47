"""The addresses of the dashboard: ``path("taskq/", include("taskq.dashboard.urls"))``."""

from __future__ import annotations

from django.urls import path

from taskq.dashboard.pages.overview import Overview

app_name = "taskq_dashboard"

urlpatterns = [
    path("", Overview.as_view(), name="overview"),
]
