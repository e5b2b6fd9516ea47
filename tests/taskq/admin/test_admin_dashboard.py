"""The admin leads to the dashboard, where the site has one."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import override_settings
from django.urls import path

from tests.taskq.admin_site import LIST, WORKERS, text, user_with

pytestmark = pytest.mark.django_db

APP = "/admin/taskq/"
LINK = '<a href="/taskq/">Dashboard</a>'

#: A site without the dashboard.
urlpatterns = [path("admin/", admin.site.urls)]


@pytest.mark.parametrize("page", [APP, LIST, WORKERS])
def test_pages_of_the_app_link_to_it(root, page):
    assert text(root.get(page)).count(LINK) == 1


@pytest.mark.parametrize("page", [APP, LIST, WORKERS])
def test_a_site_without_it_has_no_link(root, page):
    with override_settings(ROOT_URLCONF=__name__):
        assert "Dashboard" not in text(root.get(page))


def test_a_person_who_may_not_see_it_gets_no_link():
    assert LINK not in text(user_with("view_worker").get(WORKERS))
