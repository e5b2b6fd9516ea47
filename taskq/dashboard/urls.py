"""The addresses of the dashboard: ``path("taskq/", include("taskq.dashboard.urls"))``."""

from __future__ import annotations

from django.db import router, transaction
from django.urls import path, register_converter

from taskq.dashboard.converters import RowId
from taskq.dashboard.pages.charts import ChartNumbers
from taskq.dashboard.pages.failures import Failure, Failures
from taskq.dashboard.pages.names import Name, Names
from taskq.dashboard.pages.overview import Overview
from taskq.dashboard.pages.pauses import Pause, Resume
from taskq.dashboard.pages.queues import Queues
from taskq.dashboard.pages.runs import Runs
from taskq.dashboard.pages.schedule import NewSchedule, SchedulePage
from taskq.dashboard.pages.schedules import Schedules
from taskq.dashboard.pages.search import Search
from taskq.dashboard.pages.task import TaskPage
from taskq.dashboard.pages.workers import Workers
from taskq.dashboard.pages.workflow import WorkflowPage
from taskq.dashboard.pages.workflows import Workflows
from taskq.dashboard.stream import stream
from taskq.models import Task

app_name = "taskq_dashboard"
register_converter(RowId, "taskq_row")

#: For a view that is not to run in a transaction of its request (ATOMIC_REQUESTS).
_by_itself = transaction.non_atomic_requests(router.db_for_write(Task))

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
    path("schedules/new/", NewSchedule.as_view(), name="new_schedule"),
    path("schedules/<taskq_row:pk>/", SchedulePage.as_view(), name="schedule"),
    path("search/", Search.as_view(), name="search"),
    path("workflows/", Workflows.as_view(), name="workflows"),
    path("workflows/<taskq_row:pk>/", WorkflowPage.as_view(), name="workflow"),
    path("failures/", Failures.as_view(), name="failures"),
    path("failures/<str:key>/", Failure.as_view(), name="failure"),
    # A pool sees the question for a stack after its commit.
    path("task/<str:id>/", _by_itself(TaskPage.as_view()), name="task"),
]
