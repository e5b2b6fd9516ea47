"""Options that nobody knows: a system check names them, as one may be a typing error."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

from taskq.celery import Task, shared_task
from taskq.celery.checks import check_options_of_celery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered", "no_apps")]


class Once(Task):
    once = None


def add(a, b=0):
    return a + b


def said():
    return [(each.msg, each.hint) for each in check_options_of_celery(None)]


def test_the_check_names_each_option_once_with_its_tasks_and_the_option_that_is_meant():
    shared_task(name="x", max_retry=3)(add)
    shared_task(name="y", max_retry=None, interval_start=5)(add)
    assert said() == [
        (
            "interval_start is no option of a task: it changes nothing, and is an attribute of y.",
            "Remove it; or, if your code reads it, give it to a class of tasks (base=).",
        ),
        (
            "max_retry is no option of a task: it changes nothing, and is an attribute of x, y.",
            "Did you mean max_retries?",
        ),
    ]
    assert [each.id for each in run_checks() if "max_retry " in each.msg] == ["taskq.W024"]


def test_the_check_says_nothing_of_what_is_known_or_of_what_the_class_has():
    shared_task(
        name="x", base=Once, once={"keys": []}, queue="q", acks_late=True, expires=5, on_failure=add
    )(add)
    assert said() == []


def test_the_check_names_some_of_many_tasks():
    for number in range(7):
        shared_task(name=f"task_{number}", mine=1)(add)
    ((message, _),) = said()
    assert message.endswith("attribute of task_0, task_1, task_2, task_3, task_4 and 2 more.")


def test_the_check_names_what_the_settings_give(app, settings):
    shared_task(name="x", base=Once)(add)
    settings.CELERY_TASK_ANNOTATIONS = {
        "x": {"prioritty": 3, "once": 1, "expires": 4, "after_return": add}
    }
    ((message, hint),) = said()
    assert message.startswith("prioritty is no option of a task")
    assert hint == "Did you mean priority?"


def test_options_of_a_class_that_is_a_task_are_kept_too(app):
    class Add(Task):
        name = "add"

        def run(self, a, b):
            return a + b

    task = app.register_task(Add, queue="sums", mine=2)
    assert (task.queue, task.mine) == ("sums", 2)
    assert [message.split()[0] for message, _ in said()] == ["mine"]
    with pytest.raises(TypeError, match="shared_task has no 'rate_limit' here"):
        app.register_task(Add, rate_limit="1/m")
