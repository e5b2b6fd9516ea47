"""The two buttons of a queue: pause and resume."""

from __future__ import annotations

from abc import ABC, abstractmethod

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from taskq import pausing
from taskq.dashboard import permissions
from taskq.dashboard.acting import Acting, say


class _Button(Acting, ABC):
    """Does something to the queue that the form names, says so, and goes back to the queues."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        queue = request.POST.get("queue", "")
        try:
            text, level = self.act(request, queue), messages.SUCCESS
        except ValueError as error:  # no such name can be a queue's
            text, level = str(error), messages.ERROR
        return say(request, level, text, "queues")

    @abstractmethod
    def act(self, request: HttpRequest, queue: str) -> str:
        """Do it. Returns what to say. Raises ValueError for what can be no queue's name."""


class Pause(_Button):
    permission = permissions.PAUSE

    def act(self, request: HttpRequest, queue: str) -> str:
        if pausing.pause(queue, by=request.user.get_username()):
            return gettext("%(queue)s is paused: its tasks wait.") % {"queue": queue}
        return gettext("%(queue)s was paused already.") % {"queue": queue}


class Resume(_Button):
    permission = permissions.RESUME

    def act(self, request: HttpRequest, queue: str) -> str:
        if pausing.resume(queue):
            return gettext("%(queue)s goes on.") % {"queue": queue}
        return gettext("%(queue)s was not paused.") % {"queue": queue}
