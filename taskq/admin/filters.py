"""Filters of the task list. What they offer is known without reading the table: it may
have millions of rows, and no index that would list what is in a column."""

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

from taskq import sql
from taskq.conf import DEFAULT_QUEUE
from taskq.models import SHOWN_WHEN, ShownState, Task
from taskq.task import registry

#: Waiting queues that the filter offers.
MANY_QUEUES = 100


class StateFilter(SimpleListFilter):
    """The states that a person asks for."""

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
    """One value of a column. The URL may ask for any; it is offered too while chosen."""

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
    """The default, those that tasks name, and those where something waits."""

    title = _("queue")
    parameter_name = "queue"

    def known(self) -> Iterable[str]:
        named = (definition.options.queue for definition in registry.definitions())
        with connections[router.db_for_read(Task)].cursor() as cursor:
            cursor.execute(sql.WAITING_QUEUES, {"limit": MANY_QUEUES})
            waiting = [queue for (queue,) in cursor.fetchall()]
        return [DEFAULT_QUEUE, *filter(None, named), *waiting]


class NameFilter(KnownValuesFilter):
    """The names that are registered here."""

    title = _("name")
    parameter_name = "name"

    def known(self) -> Iterable[str]:
        return registry.names()
