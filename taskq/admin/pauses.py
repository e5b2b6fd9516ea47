"""Paused queues in the admin: adding a row pauses a queue, and deleting the row resumes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from taskq import pausing
from taskq.admin.columns import moment
from taskq.models import PausedQueue
from taskq.values import check_queue

if TYPE_CHECKING:
    PausedQueueAdminBase = admin.ModelAdmin[PausedQueue]
    PauseFormBase = forms.ModelForm[PausedQueue]
else:
    PausedQueueAdminBase = admin.ModelAdmin
    PauseFormBase = forms.ModelForm


class PauseForm(PauseFormBase):
    class Meta:
        model = PausedQueue
        fields = ("queue",)

    def clean_queue(self) -> str:
        queue: str = self.cleaned_data["queue"]
        try:
            check_queue(queue)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return queue


_PAUSED_AT = moment(PausedQueue, "paused_at")


@admin.register(PausedQueue)
class PausedQueueAdmin(PausedQueueAdminBase):
    """The add permission allows a person to pause queues, the delete permission to resume them."""

    form = PauseForm
    list_display = ("queue", _PAUSED_AT, "paused_by")
    ordering = ("queue",)
    readonly_fields = (_PAUSED_AT, "paused_by")
    actions = ("delete_selected",)

    def get_fields(self, request: HttpRequest, obj: PausedQueue | None = None) -> tuple[Any, ...]:
        return ("queue", *self.readonly_fields) if obj else ("queue",)

    def has_change_permission(self, request: HttpRequest, obj: PausedQueue | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: PausedQueue, form: Any, change: bool) -> None:
        pausing.pause(obj.queue, by=request.user.get_username())

    def delete_model(self, request: HttpRequest, obj: PausedQueue) -> None:
        pausing.resume(obj.queue)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PausedQueue]) -> None:
        for each in queryset:
            pausing.resume(each.queue)

    @admin.action(permissions=["delete"], description=_("Resume selected queues"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[PausedQueue]) -> None:
        """Replaces Django's action, which asks first: a person can easily pause the queue again."""
        queues = [each.queue for each in queryset]
        self.log_deletions(request, queryset)
        resumed = sum(pausing.resume(queue) for queue in queues)
        text = ngettext("%(count)d queue resumed.", "%(count)d queues resumed.", resumed)
        self.message_user(request, text % {"count": resumed}, messages.SUCCESS)
