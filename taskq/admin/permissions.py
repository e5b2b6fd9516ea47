"""Who may do what: of nearly all in this admin nothing can be added or edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object


class NotEditedMixin(Base):
    """Rows that pools write. A person may look at them, and use the verbs that there are."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may_change(self, request: HttpRequest) -> bool:
        """Whether it is one with the permission to change them, who may use the verbs."""
        return super().has_change_permission(request)


class OnlyShownMixin(NotEditedMixin):
    """Rows that a person can do nothing about."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
