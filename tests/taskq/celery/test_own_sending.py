"""Classes of tasks with an ``apply_async()`` of their own: all calls pass through it."""

from __future__ import annotations

from functools import partial
from unittest.mock import patch

import pytest
from django.db import transaction

from taskq.celery import AsyncResult, Task, chain, chord, group, shared_task
from taskq.models import Task as Row
from taskq.schedules import entries
from taskq.testing import run_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]

passed: list[tuple[object, ...]] = []
ran: list[tuple[object, ...]] = []


class Tenant(Task):
    """Its calls get a header."""

    ignore_result = False

    def apply_async(self, args=None, kwargs=None, **options):
        passed.append((args, kwargs))
        headers = {**(options.pop("headers", None) or {}), "tenant": "acme"}
        return super().apply_async(args, kwargs, headers=headers, **options)


@pytest.fixture
def add():
    passed.clear()
    ran.clear()

    @shared_task(base=Tenant, bind=True)
    def add(self, x, y=0):
        ran.append((x, y, self.request.headers))
        return x + y

    return add


NOTED = {"tenant": "acme"}


@pytest.mark.parametrize(
    "send",
    [
        lambda task: task.delay(1, y=2),
        lambda task: task.delay_on_commit(1, y=2),
        lambda task: task.apply_async((1,), {"y": 2}),
        lambda task: task.s(1, y=2).delay(),
        lambda task: task.s(1).apply_async(kwargs={"y": 2}),
        lambda task: task.app.send_task(task.name, (1,), {"y": 2}),
    ],
)
@pytest.mark.parametrize("eagerly", [False, True])
def test_each_way_to_send_a_task_passes_through_it(add, send, eagerly, settings):
    settings.CELERY_TASK_ALWAYS_EAGER = eagerly
    result = send(add)
    assert len(passed) == 1
    assert eagerly or run_all()
    assert ran == [(1, 2, NOTED)]
    assert result.get(0) == 3


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [
        (lambda t: group(t.s(1), t.s(2)), {1, 2}),
        (lambda t: chain(t.s(1), t.si(2), t.si(4)), {1, 2, 4}),
        (lambda t: chord([t.s(1), t.s(2)])(t.si(7)), {1, 2, 7}),
        (lambda t: t.s(1).set(link=t.si(2)), {1, 2}),
        (lambda t: group(t.s(1), chain(t.s(2), t.si(7))), {1, 2, 7}),
    ],
)
def test_each_step_of_a_workflow_passes_through_it_once(add, workflow, expected):
    made = workflow(add)
    if not isinstance(made, AsyncResult):
        made.apply_async()
    assert len(passed) == len(expected)
    run_all()
    assert {x for x, *_ in ran} == expected
    assert [headers for *_, headers in ran] == [NOTED] * len(expected)


def test_a_link_of_its_own_call_passes_through_it_once(add):
    add.apply_async((1,), link=add.s(5))
    run_all()
    assert len(passed) == 2
    assert sorted(x for x, *_ in ran) == [1, 1]


def test_what_it_gets_in_a_workflow_is_a_result_of_the_step():
    seen = []

    class Seen(Task):
        ignore_result = False

        def apply_async(self, *args, **options):
            seen.append(super().apply_async(*args, **options))
            return seen[-1]

    @shared_task(base=Seen)
    def one(x=0):
        return x + 1

    result = (one.s() | one.s()).delay()
    run_all()
    assert [each.get(0) for each in seen] == [1, 2]
    assert result == seen[-1]


def test_a_step_cannot_wait_for_the_commit():
    class Late(Task):
        def apply_async(self, *args, **options):
            transaction.on_commit(partial(super().apply_async, *args, **options))

    @shared_task(base=Late)
    def late():
        pass

    with pytest.raises(TypeError, match="part of the transaction anyway"):
        (late.si() | late.si()).delay()
    assert not Row.objects.exists()


def test_a_periodic_task_passes_through_it(add, settings):
    settings.CELERY_BEAT_SCHEDULE = {
        "own": {"task": add.name, "schedule": 60.0, "args": (1,), "options": {"queue": "q"}},
    }
    found = {each.name: each for each in entries.entries("default")}["own"]
    assert found.definition.name == "taskq.send"
    found.definition.bound.apply(found.args).get()
    row = Row.objects.get(name=add.name)
    assert row.queue == "q"
    assert len(passed) == 1


def test_a_test_may_patch_it(add):
    with patch.object(add, "apply_async") as sent:
        add.delay(1, y=2)
    sent.assert_called_once_with((1,), {"y": 2})
    assert not Row.objects.exists()
    add.delay(1)
    assert Row.objects.count() == 1
