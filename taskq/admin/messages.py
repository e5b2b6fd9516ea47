"""Messages to a person about an action on tasks, and its entry in the log of the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext

from taskq.models import Task, TaskQuerySet

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Task]
else:
    Base = object


class SayingMixin(Base):
    """Messages, for TaskAdmin."""

    def _tasks(self, count: int) -> str:
        return ngettext("%(count)d task", "%(count)d tasks", count) % {"count": count}

    def _say_retried(
        self, request: HttpRequest, retried: int, running: int, chosen: TaskQuerySet
    ) -> None:
        rivalled = chosen.rivalled().count()
        if retried:
            text = ngettext(
                "%(count)d task will run again.", "%(count)d tasks will run again.", retried
            )
            self.message_user(request, text % {"count": retried}, messages.SUCCESS)
        elif not running and not rivalled:
            text = gettext(
                "Nothing to retry: no such task failed, is lost or waits for its next run."
            )
            self.message_user(request, text, messages.WARNING)
        self._say_running(request, running)
        if rivalled:
            text = ngettext(
                "%(count)d task was left alone: another waits or runs with its unique key.",
                "%(count)d tasks were left alone: others wait or run with their unique keys.",
                rivalled,
            )
            self.message_user(request, text % {"count": rivalled}, messages.WARNING)

    def _say_deleted(self, request: HttpRequest, deleted: int, running: int) -> None:
        if deleted:
            text = ngettext("%(count)d task was deleted.", "%(count)d tasks were deleted.", deleted)
            self.message_user(request, text % {"count": deleted}, messages.SUCCESS)
        elif not running:
            text = gettext("Nothing to delete: these tasks have finished since, or were deleted.")
            self.message_user(request, text, messages.WARNING)
        self._say_running(request, running)

    def _say_running(self, request: HttpRequest, running: int) -> None:
        if running:
            text = ngettext(
                "%(count)d task runs and was left alone.",
                "%(count)d tasks run and were left alone.",
                running,
            )
            self.message_user(request, text % {"count": running}, messages.WARNING)

    def _log(self, request: HttpRequest, flag: int, tasks: str, verb: str) -> None:
        """Write one entry for many tasks. It says which tasks were chosen."""
        if request.POST.get("select_across") == "1":
            chosen = gettext("all of %(filters)s") % {"filters": request.get_full_path()}
        else:
            pks = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
            chosen = ", ".join(f"#{pk}" for pk in pks)
        LogEntry.objects.create(
            user_id=cast(int, request.user.pk),
            content_type=ContentType.objects.get_for_model(Task),
            object_repr=tasks,
            action_flag=flag,
            change_message=f"{verb}: {chosen}",
        )
