"""Django's connections of this thread, found without an error on the way."""

import asyncio
import sys
import threading

import pytest
from django.db import connections

from taskq.connections.of_thread import connection_of


@pytest.fixture
def other():
    """Another connection in the place of this thread's, as a live server of Django's tests has."""
    before = connections["default"]
    connections["default"] = connections.create_connection("default")
    yield connections["default"]
    connections["default"] = before


def test_it_is_the_connection_of_this_thread():
    assert connection_of("default") is connections["default"]
    found = []
    thread = threading.Thread(
        target=lambda: found.extend([connection_of("default"), connections["default"]])
    )
    thread.start()
    thread.join()
    first, second = found
    assert first is second is not connections["default"]


def test_it_is_found_without_asking_for_a_loop():
    called = []
    connection_of("default")
    sys.setprofile(lambda frame, event, _: called.append((event, frame.f_code.co_name)))
    connection_of("default")
    sys.setprofile(None)
    assert [name for event, name in called if event == "call"] == ["connection_of"]


def test_a_tool_that_chooses_the_connection_is_asked(monkeypatch):
    """Where it has put its own in the place of the method that looks one up."""
    chosen = object()
    monkeypatch.setattr(type(connections), "__getitem__", lambda handler, alias: chosen)
    assert connection_of("default") is chosen


def test_one_that_was_put_in_its_place_is_seen(other):
    assert connection_of("default") is other
    del connections["default"]
    assert connection_of("default") is connections["default"] is not other


def test_where_a_loop_runs_it_is_that_of_the_coroutine():
    async def both():
        return connection_of("default"), connections["default"]

    first, second = asyncio.run(both())
    assert first is second is not connections["default"]


def test_an_alias_that_is_none_is_an_error_of_djangos():
    with pytest.raises(connections.exception_class, match="'other' doesn't exist"):
        connection_of("other")
