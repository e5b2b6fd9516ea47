"""What a person may do here. These are the permissions that the same acts need in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse

#: To look at the dashboard; to retry and cancel tasks; to delete them; to pause a queue; to
#: resume one; to change, pause and resume schedules; to make one; to delete one.
LOOK = "taskq.view_task"
ACT = "taskq.change_task"
DELETE = "taskq.delete_task"
PAUSE = "taskq.add_pausedqueue"
RESUME = "taskq.delete_pausedqueue"
SCHEDULE = "taskq.change_schedule"
ADD_SCHEDULE = "taskq.add_schedule"
DELETE_SCHEDULE = "taskq.delete_schedule"


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the user has this permission and is on the staff. A person who may change may look,
    as in the admin."""
    user: Any = getattr(request, "user", None)
    if user is None:
        raise ImproperlyConfigured(
            "taskq.dashboard asks who looks: add "
            "django.contrib.auth.middleware.AuthenticationMiddleware to MIDDLEWARE"
        )
    if not (user.is_active and user.is_staff):
        return False
    also = permission.replace(".view_", ".change_")
    return bool(user.has_perm(permission) or (also != permission and user.has_perm(also)))


def refused(request: HttpRequest, permission: str) -> HttpResponse | None:
    """None if the user has the permission, and the way to the login for a person who has not
    logged in.

    Raises PermissionDenied for a user without the permission.
    """
    if may(request, permission):
        return None
    if request.user.is_authenticated:
        raise PermissionDenied
    try:
        login: str | None = reverse("admin:login")
    except NoReverseMatch:
        login = None  # settings.LOGIN_URL
    return redirect_to_login(request.get_full_path(), login, REDIRECT_FIELD_NAME)
