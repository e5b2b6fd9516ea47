"""The registry: only what is in it can run."""

from __future__ import annotations

import importlib
import sys

import pytest

from taskq.celery import shared_task
from taskq.task import registry
from taskq.task.options import TaskOptions
from taskq.task.registry import Definition


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


def work():
    pass


def other_work():
    pass


def define(function=work, name="work", **options):
    definition = Definition(name, function, TaskOptions(**options))
    registry.register(definition)
    return definition


def test_registered_task_is_found_by_name():
    definition = define()
    assert registry.find("work") is definition
    assert "work" in registry.names()


def test_unknown_name_is_not_found():
    assert registry.find("os.system") is None
    assert registry.find("") is None


def test_names_are_sorted():
    define(name="b")
    define(other_work, name="a")
    assert registry.names() == sorted(registry.names())


@pytest.mark.parametrize(
    "name", ["stress.project.shop.tasks.send_receipt", "tests.project.lab.tasks.quick"]
)
def test_tasks_py_of_every_installed_app_is_found(name):
    assert registry.find(name)


def test_two_tasks_of_one_name_are_refused():
    define()
    with pytest.raises(
        ValueError,
        match=r"two tasks are called 'work': .*test_registry.work and .*test_registry.other_work; "
        "give one of them another name=",
    ):
        define(other_work)
    assert registry.find("work").function is work


def test_two_decorated_tasks_of_one_name_are_refused():
    @shared_task(name="mail")
    def send():
        pass

    with pytest.raises(ValueError, match="two tasks are called 'mail'"):

        @shared_task(name="mail")
        def receive():
            pass


def test_same_function_may_be_registered_again():
    define(priority=1)
    again = define(priority=2)
    assert registry.find("work") is again


def test_module_may_be_reloaded(tmp_path, monkeypatch):
    source = "from taskq.celery import shared_task\n@shared_task\ndef work():\n    return {}\n"
    file = tmp_path / "reloaded_tasks.py"
    file.write_text(source.format(1))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.import_module("reloaded_tasks")
    try:
        file.write_text(source.format("1 + 1"))
        importlib.reload(module)
        assert registry.find("reloaded_tasks.work").function() == 2
    finally:
        del sys.modules["reloaded_tasks"]


def test_one_function_may_be_two_tasks():
    first, second = define(name="first"), define(name="second")
    assert (registry.find("first"), registry.find("second")) == (first, second)


@pytest.mark.parametrize("name", ["", "n" * 256, "nul\0", "\x1b[31m", "a\nb", None, 5, b"work"])
def test_bad_name_is_refused(name):
    with pytest.raises(ValueError, match=r"name is .*: give 1 to 255 characters"):
        define(name=name)


def test_name_may_be_as_long_as_its_column():
    assert define(name="n" * 255)


def test_async_function_is_known_as_such():
    async def wait():
        pass

    assert define(wait, name="wait").is_async
    assert not define().is_async


def test_async_function_cannot_be_atomic():
    async def wait():
        pass

    with pytest.raises(TypeError, match=r"atomic is True, but .*wait is async"):
        define(wait, name="wait", atomic=True)
    assert registry.find("wait") is None


def test_generator_cannot_be_a_task():
    def numbers():
        yield 1

    with pytest.raises(TypeError, match=r"numbers is a generator: calling it runs nothing"):
        define(numbers, name="numbers")


def test_bound_task_is_passed_first():
    me = object()
    bound = Definition("work", work, TaskOptions(bind=True), bound=me)
    assert bound.arguments([1, 2]) == [me, 1, 2]
    assert Definition("work", work, TaskOptions(), bound=me).arguments([1, 2]) == [1, 2]
