"""The addresses of the dashboard: ``path("taskq/", include("taskq.dashboard.urls"))``."""

from __future__ import annotations

from django.urls import path

from taskq.dashboard.pages.charts import ChartNumbers
from taskq.dashboard.pages.failures import Failure, Failures
from taskq.dashboard.pages.names import Name, Names
from taskq.dashboard.pages.overview import Overview
from taskq.dashboard.pages.pauses import Pause, Resume
from taskq.dashboard.pages.queues import Queues
from taskq.dashboard.pages.runs import Runs
from taskq.dashboard.pages.schedules import Schedules
from taskq.dashboard.pages.search import Search
from taskq.dashboard.pages.task import TaskPage
from taskq.dashboard.pages.workers import Workers
from taskq.dashboard.stream import stream

app_name = "taskq_dashboard"

urlpatterns = [
    path("", Overview.as_view(), name="overview"),
    path("charts/", ChartNumbers.as_view(), name="charts"),
    path("stream/", stream, name="stream"),
    path("queues/", Queues.as_view(), name="queues"),
    path("queues/pause/", Pause.as_view(), name="pause"),
    path("queues/resume/", Resume.as_view(), name="resume"),
    path("names/", Names.as_view(), name="names"),
    path("name/", Name.as_view(), name="name"),
    path("workers/", Workers.as_view(), name="workers"),
    path("runs/", Runs.as_view(), name="runs"),
    path("schedules/", Schedules.as_view(), name="schedules"),
    path("search/", Search.as_view(), name="search"),
    path("failures/", Failures.as_view(), name="failures"),
    path("failures/<str:key>/", Failure.as_view(), name="failure"),
    path("task/<str:id>/", TaskPage.as_view(), name="task"),
]
