"""A task called like a function, and what it sees of its run."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from taskq.celery import shared_task
from taskq.task.request import Request, current
from tests.taskq.running import run

pytestmark = pytest.mark.usefixtures("registered")


# Calling it


def test_calling_a_task_just_calls_the_function():
    @shared_task(autoretry_for=(ValueError,), queue="mail")
    def divide(a, b=2):
        if not b:
            raise ValueError("no")
        return a / b

    assert divide(8) == 4
    assert divide(8, b=4) == 2
    with pytest.raises(ValueError, match="no"):
        divide(8, 0)


def test_calling_an_async_task_gives_its_coroutine():
    @shared_task
    async def add(a, b):
        return a + b

    assert asyncio.run(add(1, 2)) == 3


def test_bound_task_is_called_with_itself_as_first_argument():
    @shared_task(bind=True)
    def who(self, greeting):
        return self, greeting

    assert who("hello") == (who, "hello")
    assert run(who, "hello") == (who, "hello")


# The request


def test_request_tells_of_the_run():
    @shared_task(bind=True)
    def look(self):
        return self.request

    request = run(look, retries=2)
    assert request.id == str(uuid.UUID(int=7))
    assert request.name == look.name
    assert request.retries == 2
    assert not request.called_directly


def test_request_is_there_for_a_task_that_is_not_bound():
    @shared_task
    def look():
        return look.request.retries

    assert run(look, retries=1) == 1


def test_request_of_an_async_task_is_seen_in_its_coroutine():
    @shared_task(bind=True)
    async def look(self):
        await asyncio.sleep(0)
        return self.request.retries

    assert run(look, retries=4) == 4


def test_request_of_a_direct_call_is_an_empty_one_as_in_celery():
    @shared_task(bind=True, queue="mail")
    def look(self):
        return self.request

    assert look() == Request(pk=None, name=look.name, queue="mail", called_directly=True)


def test_a_task_called_by_the_run_of_another_has_no_run_of_its_own():
    @shared_task(bind=True)
    def inner(self):
        return self.request

    @shared_task(bind=True)
    def outer(self):
        return self.request, inner(), self.request

    before, within, after = run(outer, retries=2)
    assert (before.retries, within.retries, after.retries) == (2, 0, 2)
    assert within.called_directly


def test_request_is_gone_after_the_run():
    @shared_task(bind=True)
    def fail(self):
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        run(fail)
    assert current.get() is None
