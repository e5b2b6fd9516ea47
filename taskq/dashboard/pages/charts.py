"""The numbers of the two large charts, which a page asks for again and again."""

from __future__ import annotations

from django.db import router
from django.http import HttpRequest, JsonResponse

from taskq.dashboard import queries
from taskq.dashboard.charts import charts
from taskq.dashboard.guarded import Guarded
from taskq.dashboard.window import Scope
from taskq.models import Task


class ChartNumbers(Guarded):
    def get(self, request: HttpRequest) -> JsonResponse:
        scope = Scope.of(request)
        series = queries.series(router.db_for_read(Task), scope)
        return JsonResponse(charts(series, scope))
