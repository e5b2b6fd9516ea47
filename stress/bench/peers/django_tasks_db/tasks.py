from importlib import import_module
from importlib.util import find_spec
from typing import Any

from stress.bench import work

task: Any = import_module("django.tasks" if find_spec("django.tasks") else "django_tasks").task


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
