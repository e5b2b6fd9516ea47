"""What may be said of a schedule, and that each mistake has a message that mends it."""

from __future__ import annotations

import datetime

import pytest
from django.apps import apps
from django.core import checks as django_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from taskq import checks
from taskq.celery import shared_task
from taskq.schedules import entries

TICK = "tests.project.lab.tasks.tick"
NAP = "tests.project.lab.tasks.nap"  # takes a key and seconds
NOOP = "tests.project.lab.tasks.noop"
GOOD = {"task": TICK, "schedule": "0 3 * * *"}
HOUR = datetime.timedelta(hours=1)

needs_djangos_tasks = pytest.mark.skipif(
    not apps.is_installed("tests.project.native"), reason="Django's tasks are not installed"
)


def report(): ...


def report_with_context(context): ...


def said(settings, entry, name="nightly"):
    settings.TASKQ = {"SCHEDULE": {name: entry}}
    return [message.msg for message in checks.check_schedules(None)]


@pytest.mark.parametrize(
    "entry",
    [
        GOOD,
        {**GOOD, "schedule": HOUR},
        {**GOOD, "args": ["x"]},
        {**GOOD, "kwargs": {"key": datetime.date(2026, 1, 1)}},
        {**GOOD, "queue": "mail", "priority": -5, "catch_up": "all"},
        {**GOOD, "queue": None, "priority": None, "catch_up": None},
        {"task": NOOP, "schedule": HOUR, "args": None, "kwargs": None},
        {"task": NAP, "schedule": HOUR, "args": ("x", 1)},
        None,
    ],
)
def test_what_is_right_is_not_spoken_of(settings, entry):
    assert said(settings, entry) == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("0 3 * * *", "it is '0 3 * * *': give a dict with 'task' and 'schedule', or None"),
        ({}, "'task' is missing"),
        ({"task": TICK}, "'schedule' is missing"),
        ({**GOOD, "crontab": 1}, "'crontab' is no such key; known are task, schedule, args, "),
        ({**GOOD, "task": "lab.tick"}, "task is 'lab.tick': no such task; known are "),
        ({**GOOD, "task": print}, "task is <built-in function print>: no such task"),
        ({**GOOD, "schedule": "soon"}, "schedule is 'soon': give a cron"),
        ({**GOOD, "schedule": 60}, "schedule is 60: give a cron expression such as"),
        ({**GOOD, "args": "x"}, "args is 'x': give a list of the positional arguments"),
        ({**GOOD, "kwargs": ["x"]}, "kwargs is ['x']: give a dict of the keyword arguments"),
        ({**GOOD, "args": ["x", 1]}, "args and kwargs do not fit the task: too many positional"),
        ({"task": NAP, "schedule": HOUR}, "args and kwargs do not fit the task: missing a req"),
        ({**GOOD, "args": [object()]}, "args[0] is of type object, which JSON cannot carry"),
        ({**GOOD, "queue": "a,b"}, "queue is 'a,b': a comma or a star cannot be in it"),
        ({**GOOD, "priority": 101}, "priority is 101: give a whole number from -100 to 100"),
        ({**GOOD, "catch_up": "twice"}, "catch_up is 'twice': use one of once, skip, all"),
    ],
)
def test_each_mistake_is_an_error_that_says_where_and_how_to_mend_it(settings, entry, message):
    (found,) = said(settings, entry)
    assert found.startswith(f"TASKQ['SCHEDULE']['nightly']: {message}")
    assert entries.entries("default") == []


@pytest.mark.parametrize("name", [5, "", "x" * 256, "nul\0"])
def test_a_name_that_no_row_can_have_is_refused(settings, name):
    (found,) = said(settings, GOOD, name)
    assert "the name must be a str of 1 to 255 characters" in found


def errors():
    return [message.id for message in django_checks.run_checks() if message.is_serious()]


def test_the_check_is_registered_and_keeps_a_pool_from_starting(settings):
    settings.TASKQ = {"SCHEDULE": {"nightly": {}, "daily": {}}}
    assert errors() == ["taskq.E020"] * 2
    with pytest.raises(SystemCheckError, match=r"taskq\.E020"):
        call_command("taskq_pool", "--burst", skip_checks=False)


def test_a_setting_that_is_wrong_as_a_whole_is_said_once(settings):
    settings.TASKQ = {"SCHEDULE": ["nightly"]}
    assert errors() == ["taskq.E001"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "soon"}, "schedule is 'soon': give a cron"),
        ({"schedule": 60}, "schedule is 60: give a cron"),
        ({"schedule": HOUR, "catch_up": True}, "catch_up is True: use one of once, skip, all"),
        ({"catch_up": []}, "catch_up is []: use one of once, skip, all"),
    ],
)
def test_a_wrong_option_is_refused_by_the_decorator(options, message):
    with pytest.raises((TypeError, ValueError)) as refused:
        shared_task(**options)
    assert str(refused.value).startswith(message)


def test_a_task_with_a_schedule_must_need_no_arguments(registered):
    @shared_task(name="needy", schedule=HOUR, bind=True)
    def needy(self, key): ...

    (error,) = checks.check_schedules(None)
    assert error.msg == (
        "@needy: schedule is datetime.timedelta(seconds=3600), but missing a required argument: "
        "'key': give the arguments by an entry of TASKQ['SCHEDULE']."
    )


@needs_djangos_tasks
def test_a_task_of_djangos_own_may_have_a_schedule(registered):
    from taskq.django import task

    options = {"queue_name": "mail", "priority": 3, "takes_context": True}
    task(**options, schedule="0 3 * * *", catch_up="all")(report_with_context)
    (entry,) = entries.entries("default")
    columns = entry.columns()
    assert entry.catch_up == "all"
    assert (columns["queue"], columns["priority"], columns["schedule"]) == ("mail", 3, "0 3 * * *")
    with pytest.raises(ValueError, match="schedule is 'soon'"):
        task(schedule="soon")(report)


@needs_djangos_tasks
def test_a_schedule_is_in_the_database_of_its_tasks_backend(registered, settings):
    from taskq.django import task

    backend = {"BACKEND": "taskq.backend.TaskqBackend", "OPTIONS": {"database": "queue"}}
    settings.TASKS = {**settings.TASKS, "other": backend}

    task(backend="other", schedule=HOUR)(report)
    assert entries.entries("default") == []
    (entry,) = entries.entries("queue")
    assert entry.name.endswith("report")
