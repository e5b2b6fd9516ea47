"""The project of the screenshots: the shop of stress, in which everybody is the superuser."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from stress.project.settings import *  # noqa: F403
from stress.project.settings import INSTALLED_APPS as STRESS_APPS
from stress.project.settings import MIDDLEWARE as STRESS_MIDDLEWARE

#: Without the tasks that misbehave.
INSTALLED_APPS = [app for app in STRESS_APPS if app != "stress.project.lab"]

DEBUG = True  # runserver then serves the admin's style sheets
SHOP = "stress.project.shop.tasks"
TASKQ = {
    "SCHEDULE": {
        "receipts, nightly": {"task": f"{SHOP}.send_receipt", "schedule": "0 3 * * *", "args": [1]},
        "ship, hourly": {"task": f"{SHOP}.ship", "schedule": "0 * * * *", "args": [2]},
    }
}


def everybody_is_the_superuser(
    answer: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    from django.contrib.auth import get_user_model

    def with_the_superuser(request: HttpRequest) -> HttpResponse:
        request.user = get_user_model().objects.get(username="ada")
        return answer(request)

    return with_the_superuser


MIDDLEWARE = [*STRESS_MIDDLEWARE, f"{__name__}.everybody_is_the_superuser"]
