"""Filters of the task list.

They find their choices without reading the whole table. It may have millions of rows, and no index
lists the values of a column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import connections, router
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from taskq.limits import DEFAULT_QUEUE
from taskq.models import SHOWN_WHEN, ShownState, Task
from taskq.sql.in_both import WAITING_QUEUES
from taskq.task import registry

#: The most queues with waiting tasks that the filter offers.
MANY_QUEUES = 100


class StateFilter(SimpleListFilter):
    """Filters by the states that the admin shows."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return list(ShownState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        if value not in ShownState.values:
            raise IncorrectLookupParameters(f"no such state: {value!r}")
        return queryset.filter(SHOWN_WHEN[ShownState(value)])


class KnownValuesFilter(SimpleListFilter, ABC):
    """Filters by one value of a column. The URL may name any value, which is then a choice too."""

    parameter_name: str

    @abstractmethod
    def known(self) -> Iterable[str]: ...

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        chosen = self.value()
        return [(value, value) for value in sorted({*self.known(), *([chosen] if chosen else [])})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value and "\0" in value:
            raise IncorrectLookupParameters(f"{self.parameter_name} is {value!r}")
        return queryset.filter(**{self.parameter_name: value}) if value else queryset


class QueueFilter(KnownValuesFilter):
    """Offers the default queue, the queues that tasks name, and queues where tasks wait."""

    title = _("queue")
    parameter_name = "queue"

    def known(self) -> Iterable[str]:
        named = (definition.options.queue for definition in registry.definitions())
        with connections[router.db_for_read(Task)].cursor() as cursor:
            cursor.execute(WAITING_QUEUES, {"limit": MANY_QUEUES})
            waiting = [queue for (queue,) in cursor.fetchall()]
        return [DEFAULT_QUEUE, *filter(None, named), *waiting]


class NameFilter(KnownValuesFilter):
    """Offers the names of tasks that are registered in this process."""

    title = _("name")
    parameter_name = "name"

    def known(self) -> Iterable[str]:
        return registry.names()
