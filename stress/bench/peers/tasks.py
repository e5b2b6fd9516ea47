"""The tasks of the peers whose door is Django's own ``@task``."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from stress.bench import work

# Before Django 6 its tasks are a package of their own.
task: Any = import_module("django.tasks" if find_spec("django.tasks") else "django_tasks").task


# A task is found by the module and name of its function, so each has a function of its own here.
@task()
def noop() -> None:
    work.noop()


@task()
def nap() -> None:
    work.nap()


@task()
def mark(number: int) -> None:
    work.mark(number)


@task()
def nap_and_mark(number: int) -> None:
    work.nap_and_mark(number)


tasks = {"noop": noop, "nap": nap, "mark": mark, "nap_and_mark": nap_and_mark}
