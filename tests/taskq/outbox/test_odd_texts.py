"""Texts that no database holds: NUL, and what Python makes of a file name that is no UTF-8."""

from __future__ import annotations

import os

import pytest

from taskq import pausing, schedules
from taskq.celery import AsyncResult
from taskq.models import Schedule
from tests.project.lab import tasks

ODD = ["a\0", os.fsdecode(b"a\xff")]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("option", ["queue", "task_id", "unique_key", "idempotency_key"])
def test_the_call_is_refused_by_the_name_of_the_option(option, odd):
    wanted = rf"{option} is .*: give 1 to \d+ characters, without NUL or lone surrogates"
    with pytest.raises(ValueError, match=wanted):
        tasks.quick.apply_async(("key",), **{option: odd})


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.django_db
def test_nothing_is_known_by_such_an_id(odd):
    assert AsyncResult(odd).state == "PENDING"


@pytest.mark.parametrize(("odd", "shown"), [*zip(ODD, [r"a\x00", r"a\udcff"], strict=True)])
@pytest.mark.django_db
def test_who_pauses_a_queue_is_shown_as_it_can_be(odd, shown):
    assert pausing.pause("mail", by=odd)
    (paused,) = pausing.paused()
    assert paused.paused_by == shown


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.django_db
def test_a_schedule_is_neither_described_nor_found_by_it(odd):
    values = {"task": tasks.quick.name, "args": ["a"], "schedule": "every 5 minutes"}
    with pytest.raises(
        schedules.ScheduleError, match=r"description is .*: give a str, without NUL"
    ):
        schedules.create("report", **values, description=odd)
    with pytest.raises(Schedule.DoesNotExist, match="can be called"):
        schedules.enable(odd)
