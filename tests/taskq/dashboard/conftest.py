from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from taskq.dashboard.remembered import remembered
from tests.site import devtools


@pytest.fixture(autouse=True)
def _nothing_remembered():
    """Each look asks anew: what another test has seen is not remembered."""
    remembered.forget()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with devtools.browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def site(browser, live_server):
    """The site's address. The browser is logged in, and what it complained of is forgotten."""
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    browser.set_cookie(live_server.url, settings.SESSION_COOKIE_NAME, cookie)
    browser.look_like(1280, 820)
    browser.complaints.clear()
    browser.hosts.clear()
    yield live_server.url
    browser.open("about:blank")  # nothing is asked of the site while its tables are emptied
