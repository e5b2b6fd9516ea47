"""A call whose arguments the function does not take is refused when it is sent."""

from __future__ import annotations

import functools

import pytest
from django.core.management import call_command

from taskq.celery import shared_task
from taskq.models import Task
from taskq.schedules import entries
from taskq.task import registry
from tests.project.lab import tasks as lab

pytestmark = [pytest.mark.usefixtures("registered"), pytest.mark.django_db]


@shared_task
def greet(name, punctuation="!", *, loud=False):
    return name + punctuation


WRONG = [
    ((), {}, "missing a required argument: 'name'"),
    ((), {"punctuation": "."}, "missing a required argument: 'name'"),
    (("a", "b", "c"), {}, "too many positional arguments"),
    (("a",), {"name": "b"}, "multiple values for argument 'name'"),
    (("a",), {"title": "b"}, "got an unexpected keyword argument 'title'"),
]


def test_each_way_to_send_refuses_it_and_names_the_signature():
    ways = [
        greet.delay,
        greet.delay_on_commit,
        lambda *args, **kwargs: greet.apply_async(args, kwargs),
        lambda *args, **kwargs: greet.s(*args, **kwargs).delay(),
        lambda *args, **kwargs: greet.si(*args, **kwargs).apply_async(),
    ]
    for way in ways:
        for args, kwargs, why in WRONG:
            with pytest.raises(TypeError) as caught:
                way(*args, **kwargs)
            takes = "it takes (name, punctuation='!', *, loud=False)"
            assert str(caught.value) == f"{greet.name}: {why}; {takes}"
    assert not Task.objects.exists()


def test_of_many_calls_the_wrong_one_is_named_and_none_is_sent():
    with pytest.raises(TypeError, match=r"calls\[1\]: .*greet: missing a required.*takes \(name"):
        greet.delay_many([("a",), ()])
    with pytest.raises(TypeError, match=r"calls\[2\]: .*unexpected keyword argument 'title'"):
        greet.delay_many([("a",), {"name": "b"}, {"name": "c", "title": "d"}])
    assert not Task.objects.exists()


def test_right_calls_are_sent_however_often():
    for _ in range(2):
        greet.delay("a")
        greet.delay(name="a", loud=True)
        greet.apply_async(["a", "."])
    greet.delay_many([("a",), {"name": "b", "punctuation": "?"}])
    assert Task.objects.count() == 8


def test_in_eager_mode_too(settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    with pytest.raises(TypeError, match="missing a required argument: 'name'"):
        greet.delay()
    assert greet.delay("a").get() == "a!"


def test_a_task_can_turn_it_off():
    @shared_task(typing=False)
    def loose(name):
        return name

    loose.delay()
    loose.delay_many([(), (1, 2)])
    assert Task.objects.count() == 3


def test_the_task_itself_is_no_argument_of_a_call():
    @shared_task(bind=True)
    def bound(self, name):
        return name

    bound.delay("a")
    for wrong in ((), ("a", "b")):
        with pytest.raises(TypeError, match=r"bound: .*; it takes \(name\)$"):
            bound.delay(*wrong)


def test_what_counts_is_what_a_decorator_around_the_function_takes(settings):
    def with_connection(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            return function("connection", *args, **kwargs)

        return call

    @shared_task
    @with_connection
    def fetch(connection, url):
        return connection, url

    fetch.delay("https://example.com")
    assert Task.objects.count() == 1
    call_command("taskq_run", fetch.name, "https://example.com")
    assert Task.objects.count() == 2
    schedule = {"task": fetch.name, "schedule": "0 3 * * *", "args": ["https://example.com"]}
    settings.TASKQ = {"SCHEDULE": {"nightly": schedule}}
    assert entries.problems() == []


def test_positional_only_arguments_and_any_others():
    @shared_task
    def odd(first, /, *rest, key, **others):
        return first

    odd.delay(1, 2, 3, key=4, first=5)
    for args, kwargs in [((), {"key": 1}), ((1,), {})]:
        with pytest.raises(TypeError, match=r"it takes \(first, /, \*rest, key, \*\*others\)$"):
            odd.delay(*args, **kwargs)


def test_what_is_remembered_of_right_calls_has_an_end():
    @shared_task
    def anything(**kwargs):
        return kwargs

    definition = registry.find(anything.name)
    for number in range(registry.SHAPES + 10):
        definition.check_call((), {f"key{number}": 1})
    assert len(definition._shapes) == registry.SHAPES


def test_signatures_take_the_rest_later():
    lab.add.s(2).delay(1)
    with pytest.raises(TypeError, match="too many positional arguments"):
        lab.add.s(2, 3).delay(1)
