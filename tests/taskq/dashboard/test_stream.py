"""The live part by server-sent events, for a site under ASGI."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient

from taskq.dashboard import stream
from taskq.dashboard.remembered import remembered
from taskq.models import SentWorkflow

from .site import OVERVIEW, QUEUES, WORKFLOWS, ran

pytestmark = pytest.mark.django_db(transaction=True)

STREAM = f"{OVERVIEW}stream/"


@pytest.fixture
def asgi_root():
    client = AsyncClient()
    client.force_login(User.objects.create_superuser("asgi"))
    return client


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(stream, "EVERY", 0.01)
    monkeypatch.setattr(stream, "QUIET", 0.05)


def events(client, of, count, *, between=lambda: None):
    """So many events of a page's stream. between: called after each."""

    async def listen():
        answer = await client.get(STREAM, {"of": of})
        assert answer.status_code == 200
        assert answer["Content-Type"] == "text/event-stream"
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        found = []
        async for event in answer.streaming_content:
            found.append(event.decode())
            if len(found) == count:
                return found
            await sync_to_async(between)()
        return found

    async def in_time():
        return await asyncio.wait_for(listen(), 60)

    return async_to_sync(in_time)()


def test_a_change_is_sent_by_itself(asgi_root):
    before, after = events(asgi_root, OVERVIEW, 2, between=happen)
    assert "#4711" not in before
    assert "#4711" in after
    assert all(line.startswith("data: ") for line in after.removesuffix("\n\n").split("\n"))


def happen():
    remembered.forget()
    ran(task_id=4711)


def test_the_page_of_a_workflow_ends_when_that_is_pruned(asgi_root):
    row = SentWorkflow.objects.create(name="report", steps="[]", edges="[]", tasks="[]")

    def prune():
        SentWorkflow.objects.all().delete()
        remembered.forget()

    (only,) = events(asgi_root, f"{WORKFLOWS}{row.pk}/", 2, between=prune)
    assert "report" not in only  # the name is in the title, which is no live part
    assert 'id="state"' in only


def test_nothing_new_is_only_a_sign_of_life(asgi_root):
    _page, quiet = events(asgi_root, f"{QUEUES}?over=day", 2)
    assert quiet == ": nothing has changed\n\n"


def test_it_ends_and_asks_the_permission_again_with_the_next(asgi_root, monkeypatch):
    monkeypatch.setattr(stream, "LENGTH", 0.1)
    assert len(events(asgi_root, OVERVIEW, 1000)) < 1000


def test_the_page_names_its_stream_under_asgi_alone(asgi_root, root):
    page = async_to_sync(asgi_root.get)(QUEUES, {"over": "day"}).content.decode()
    assert 'data-stream="/taskq/stream/?of=%2Ftaskq%2Fqueues%2F%3Fover%3Dday"' in page
    assert "data-stream" not in root.get(QUEUES).content.decode()


def test_a_stranger_and_a_page_without_a_live_part_get_none(asgi_root, root):
    get = async_to_sync(asgi_root.get)
    assert get(STREAM, {"of": "/nowhere/"}).status_code == 404
    assert get(STREAM, {"of": "/admin/"}).status_code == 404
    assert async_to_sync(AsyncClient().get)(STREAM, {"of": OVERVIEW}).status_code == 302
    assert root.get(STREAM, {"of": OVERVIEW}).status_code == 404  # WSGI
