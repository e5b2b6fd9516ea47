"""What ``get()`` raises for a task that failed is of the class of its error too."""

from __future__ import annotations

import pickle
import sys

import pytest

from taskq.celery import TaskFailed, chain, shared_task
from taskq.celery.exceptions import WorkerLostError
from taskq.celery.task_errors import task_error
from taskq.models import Task
from taskq.testing import run_all

pytestmark = pytest.mark.usefixtures("registered")


class OutOfStock(Exception):
    def __init__(self, article, count):
        super().__init__(f"{count} of {article}")
        self.article = article


class Final(Exception):
    def __init_subclass__(cls):
        raise TypeError("no class may inherit from this")


class Shop:
    class Closed(LookupError):
        pass


def path(kind):
    return f"{kind.__module__}.{kind.__qualname__}"


def fails_with(error, **options):
    @shared_task(name="fails", ignore_result=False, **options)
    def fails():
        raise error

    return fails


@pytest.mark.django_db
@pytest.mark.parametrize(
    "error",
    [
        KeyError("no"),
        OSError(2, "no"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "no"),
        Shop.Closed(),
        OutOfStock("tea", 3),
    ],
    ids=repr,
)
def test_it_is_caught_by_its_class_and_as_a_failed_task(error):
    task = fails_with(error)
    alone, behind = task.delay(), chain(task.si(), task.si()).delay()
    run_all(propagate=False)
    for result in (alone, behind):
        with pytest.raises(type(error)) as caught:
            result.get(0)
        assert isinstance(caught.value, TaskFailed)
        assert str(caught.value) == Task.objects.get(pk=alone.id.int).error
        assert "Traceback" in caught.value.traceback
        again = pickle.loads(pickle.dumps(caught.value))
        assert (type(again), str(again)) == (type(caught.value), str(caught.value))
        assert again.traceback == caught.value.traceback
    assert isinstance(alone.result, type(error))
    assert not hasattr(alone.result, "article")


@pytest.mark.django_db
def test_a_task_that_keeps_no_results_has_the_text_alone():
    result = shared_task(name="fails")(lambda: 1 / 0).delay()
    run_all(propagate=False)
    assert type(result.result) is TaskFailed
    assert str(result.result) == "ZeroDivisionError: division by zero"


def test_a_lost_worker_is_told_by_its_class():
    assert isinstance(task_error(path(WorkerLostError), "killed by SIGKILL", ""), WorkerLostError)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("", "no"),
        ("builtins.Exception", "Exception: no"),
        ("builtins.SystemExit", "SystemExit: no"),
        ("builtins.print", "print: no"),
        ("builtins.KeyError", "the database refused it"),
        ("no.such.module.Error", "no.such.module.Error: no"),
        (path(Final), f"{path(Final)}: no"),
        (f"{path(Shop)}.Opened", f"{path(Shop)}.Opened: no"),
        (f"{path(OutOfStock)}.__init__.x", f"{path(OutOfStock)}.__init__.x: no"),
        (path(TaskFailed), f"{path(TaskFailed)}: no"),
    ],
)
def test_what_is_no_class_that_can_be_taken_is_left_out(kind, text):
    error = task_error(kind, text, "T")
    assert (type(error), str(error), error.traceback) == (TaskFailed, text, "T")


def test_no_module_is_imported_for_it():
    assert "antigravity" not in sys.modules
    task_error("antigravity.Error", "antigravity.Error: no", "")
    assert "antigravity" not in sys.modules
