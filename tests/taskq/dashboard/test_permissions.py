"""Who may see the dashboard, and the headers that protect it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from taskq.dashboard.policy import policy
from tests.taskq.admin_site import user_with

from .site import OVERVIEW

pytestmark = pytest.mark.django_db


def test_a_stranger_is_sent_to_the_login_of_the_admin():
    answer = Client().get(OVERVIEW)
    assert answer.status_code == 302
    assert answer["Location"] == f"/admin/login/?next={OVERVIEW}"


@pytest.mark.parametrize("permission", ["view_task", "change_task"])
def test_staff_with_the_permission_of_the_task_list_may_look(permission):
    assert user_with(permission).get(OVERVIEW).status_code == 200


def test_staff_without_it_may_not():
    assert user_with("view_worker").get(OVERVIEW).status_code == 403


def test_a_user_who_is_not_on_the_staff_may_not():
    client = Client()
    client.force_login(User.objects.create_user("customer", is_superuser=True))
    assert client.get(OVERVIEW).status_code == 403


def test_the_policy_allows_files_of_the_site_alone(root):
    answer = root.get(OVERVIEW)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    page = answer.content.decode()
    assert "style=" not in page
    assert "<style" not in page
    assert "onclick" not in page


def test_the_policy_names_the_host_of_static_files():
    with override_settings(STATIC_URL="https://files.example.com/static/"):
        assert "script-src 'self' https://files.example.com;" in policy()
        assert "connect-src 'self';" in policy()
