"""The search of a list: by the key of a row, or by a part of the name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from taskq.task import ids

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object


class SearchMixin(Base):
    """For lists whose primary keys are ids of tasks."""

    search_fields = ("name",)
    search_help_text = _("An id, a UUID, or a part of the name")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find an id or a UUID by the primary key, and any other term in the names."""
        try:
            key = ids.parse(search_term.strip())
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        return (queryset.filter(pk=key) if key < ids.TOO_LARGE else queryset.none()), False
