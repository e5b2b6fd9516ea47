"""Permissions of the admin: most rows can be neither added nor edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object


class NotEditedMixin(Base):
    """For rows that pools write. A person may look at them and use the actions of their admin."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may_change(self, request: HttpRequest) -> bool:
        """Whether the user has the change permission, which the actions need."""
        return super().has_change_permission(request)


class OnlyShownMixin(NotEditedMixin):
    """For rows that a person can only look at."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
