"""The search of a list: by the key of a row, or by a part of the name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

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
    """For lists whose rows have the id of a task. id_field: where they have it."""

    id_field = "pk"

    search_fields: ClassVar[tuple[str, ...]] = ("name",)
    search_help_text = _("An id, a UUID, or a part of the name")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find an id or a UUID by the id, and any other term in the search fields."""
        try:
            key = ids.parse(search_term.strip())
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        found = queryset.filter(**{self.id_field: key}) if key < ids.TOO_LARGE else queryset.none()
        return found, False
