"""``@shared_task``: what it makes of a function, and what it refuses."""

from __future__ import annotations

import functools
import inspect

import pytest

from taskq.celery import Task, options, shared_task
from taskq.task import registry
from taskq.task.options import TaskOptions
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.usefixtures("registered")


def test_decorator_without_arguments_makes_a_task():
    @shared_task
    def add(a, b):
        return a + b

    assert isinstance(add, Task)


def test_decorator_with_empty_arguments_makes_a_task():
    @shared_task()
    def add(a, b):
        return a + b

    assert isinstance(add, Task)


def test_decorator_with_options_makes_a_task():
    @shared_task(queue="mail", priority=5)
    def add(a, b):
        return a + b

    assert (add.options.queue, add.options.priority) == ("mail", 5)


def test_name_is_by_default_that_of_the_module_and_the_function():
    @shared_task
    def add(a, b):
        return a + b

    assert add.name == f"{__name__}.add"
    assert registry.find(add.name).function is add.run


def test_name_can_be_given():
    @shared_task(name="sums.add")
    def add(a, b):
        return a + b

    assert add.name == "sums.add"
    assert registry.find("sums.add").function is add.run


def test_task_looks_like_its_function():
    @shared_task
    def add(a: int, b: int = 2) -> int:
        """The sum."""
        return a + b

    assert add.__name__ == "add"
    assert add.__qualname__.endswith("<locals>.add")
    assert add.__doc__ == "The sum."
    assert add.__module__ == __name__
    assert add.__wrapped__ is add.run
    assert str(inspect.signature(add)) == "(a: 'int', b: 'int' = 2) -> 'int'"
    assert repr(add) == f"<task {__name__}.add>"


def test_attributes_of_the_function_are_kept_but_cover_none_of_the_task():
    def add(a, b):
        return a + b

    add.owner = "accounts"
    add.options = add.name = "not these"
    task = shared_task(add)
    assert task.owner == "accounts"
    assert task.name == f"{__name__}.add"
    assert task.options.priority == 0


@pytest.mark.parametrize(
    "option",
    [
        {"ignore_result": True},
        {"serializer": "json"},
        {"acks_late": True},
        {"acks_on_failure_or_timeout": False},
        {"reject_on_worker_lost": True},
        {"track_started": True},
        {"compression": "zlib"},
        {"store_errors_even_if_ignored": True},
        {"throws": (KeyError,)},
        {"trail": False},
        {"send_events": False},
        {"shared": True},
        {"lazy": False},
    ],
    ids=lambda option: next(iter(option)),
)
def test_options_of_celery_that_mean_nothing_here_are_ignored_by_the_decorator(option):
    @shared_task(**option)
    def add(a, b):
        return a + b

    assert add(1, 2) == 3


def test_an_option_that_nobody_knows_is_an_attribute_of_the_task():
    def double(task, number):
        return task.factor * number

    task = shared_task(factor=2, double=double, nothing=None)(lab.add.run)
    assert (task.factor, task.nothing) == (2, None)
    assert task.double(4) == 8  # a method, as Celery has them on a class of the task
    assert task.options == TaskOptions()


@pytest.mark.parametrize(
    ("option", "mend"),
    [
        ("rate_limit", "queue that only one pool"),
        ("backend", "results are in the database"),
        ("pydantic", "model_validate"),
        ("options", "give each option by its own name"),
    ],
)
def test_an_option_of_celery_that_is_not_here_is_refused_with_the_mend(option, mend):
    with pytest.raises(TypeError, match=f"shared_task has no '{option}' here: .*{mend}"):
        shared_task(**{option: 1})


def test_all_wrong_options_are_named_at_once_and_where_they_are():
    said = (
        r"test_celery_decorator.py, line \d+: shared_task has no 'rate_limit' here: .*; "
        r"shared_task has no 'backend' here: results are in the database"
    )
    with pytest.raises(TypeError, match=said):
        shared_task(rate_limit="1/m", max_retry=1, backend="redis")


def test_bad_option_is_refused_when_the_decorator_runs():
    with pytest.raises(ValueError, match="priority is 101: give a whole number from -100 to 100"):

        @shared_task(priority=101)
        def add(a, b):
            return a + b

    assert registry.find(f"{__name__}.add") is None


class Adder:
    def __call__(self, a, b):
        return a + b


@pytest.mark.parametrize(
    "thing", ["mail", 5, Adder, Adder(), functools.partial(max, 1), staticmethod(max), classmethod]
)
def test_only_functions_can_be_tasks(thing):
    with pytest.raises(TypeError, match="shared_task is for functions, not "):
        shared_task(thing)


def test_a_task_cannot_be_made_a_task_again():
    with pytest.raises(TypeError, match="for functions, not <task "):
        shared_task(lab.quick)


def test_a_lambda_needs_a_name():
    with pytest.raises(ValueError, match="give one by name="):
        shared_task(lambda: None)
    assert shared_task(name="nothing")(lambda: None).name == "nothing"


def test_a_generator_cannot_be_a_task():
    def numbers():
        yield 1

    async def more_numbers():
        yield 1

    for function in (numbers, more_numbers):
        with pytest.raises(TypeError, match=f"{function.__name__} is a generator"):
            shared_task(function)


def test_an_async_function_cannot_be_atomic():
    with pytest.raises(TypeError, match=r"atomic is True, but .*ship is async: .*plain def"):

        @shared_task(atomic=True)
        async def ship(number):
            pass

    assert registry.find(f"{__name__}.ship") is None


def test_an_option_of_celery_that_is_none_was_not_given():
    instead = options.INSTEAD_ON_DECORATOR
    given = dict.fromkeys([*instead, "serializer", "queue", "time_limit"])
    task = shared_task(**given)(lab.add.run)
    assert task.options == TaskOptions()
