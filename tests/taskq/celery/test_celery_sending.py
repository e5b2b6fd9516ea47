"""``delay()`` and ``apply_async()``."""

from __future__ import annotations

import re

import pytest
from django.db import transaction

from taskq.celery import AsyncResult, options, shared_task
from taskq.models import Task
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.usefixtures("registered")


# Sending it


@pytest.mark.django_db
def test_delay_writes_a_row_and_returns_its_id():
    result = lab.quick.delay("a")
    task = Task.objects.get()
    assert isinstance(result, AsyncResult)
    assert isinstance(result.id, str)
    assert result.id.int == task.pk
    assert result.task_id == result.id == task.uuid
    assert task.name == "tests.project.lab.tasks.quick"
    assert task.payload == '[["a"],{}]'


@pytest.mark.django_db
def test_delay_takes_the_arguments_of_the_function():
    lab.nap.delay("a", seconds=2)
    assert Task.objects.get().payload == '[["a"],{"seconds":2}]'


@pytest.mark.django_db
def test_delay_takes_arguments_that_are_called_like_options():
    @shared_task
    def work(**everything):
        pass

    work.delay(queue="q", args=1, kwargs=2, countdown="c", priority="p")
    task = Task.objects.get()
    assert task.queue == "default"
    assert task.payload == '[[],{"queue":"q","args":1,"kwargs":2,"countdown":"c","priority":"p"}]'


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "payload"),
    [
        ((), "[[],{}]"),
        ((None, None), "[[],{}]"),
        (((1, 2),), "[[1,2],{}]"),
        (([1, 2], {"c": 3}), '[[1,2],{"c":3}]'),
        ((range(3),), "[[0,1,2],{}]"),
        (((), {"a": 1}), '[[],{"a":1}]'),
    ],
)
def test_apply_async_takes_args_and_kwargs(given, payload):
    @shared_task
    def work(*args, **kwargs):
        pass

    work.apply_async(*given)
    assert Task.objects.get().payload == payload


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"args": "abc"}, "args is 'abc': give a list or tuple"),
        ({"args": b"abc"}, "args is b'abc'"),
        ({"args": 42}, "args is 42: give a list or tuple of the positional arguments"),
        ({"args": {"a": 1}}, "args is {'a': 1}"),
        ({"args": {1, 2}}, "args is {1, 2}"),
        ({"kwargs": [1]}, r"kwargs is \[1\]: give a dict of the keyword arguments"),
        ({"kwargs": "abc"}, "kwargs is 'abc'"),
        ({"kwargs": {1: 2}}, "kwargs is {1: 2}"),
    ],
)
def test_apply_async_refuses_arguments_of_another_form(wrong, message):
    with pytest.raises(TypeError, match=message):
        lab.quick.apply_async(**wrong)
    assert not Task.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "option",
    [
        "ignore_result",
        "add_to_parent",
        "serializer",
        "compression",
        "connection",
        "producer",
        "publisher",
        "exchange",
        "routing_key",
        "retry",
        "retry_policy",
        "shadow",
        "delivery_mode",
        "mandatory",
        "immediate",
    ],
)
def test_options_of_celery_that_mean_nothing_here_are_ignored_by_apply_async(option):
    lab.quick.apply_async(("a",), **{option: object()})
    task = Task.objects.get()
    assert (task.queue, task.payload) == ("default", '[["a"],{}]')


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("header", "unknown apply_async option header; known are args, "),
        ("count_down", "unknown apply_async option count_down; known are args, "),
        ("link", "link is 1: give a signature, such as task.s()"),
        ("argsrepr", "apply_async has no 'argsrepr' here: name the parameters by sensitive="),
    ],
)
def test_options_of_apply_async_that_are_not_here_are_refused_by_name(option, said):
    with pytest.raises(TypeError, match=re.escape(said)):
        lab.quick.apply_async(("a",), **{option: 1})
    assert not Task.objects.exists()


def test_all_unknown_options_are_named():
    with pytest.raises(TypeError, match="unknown apply_async option headers_, tusk_id; known are"):
        lab.quick.apply_async(tusk_id="x", headers_="y", ignore_result=True)
    both = (
        r"test_celery_sending.py, line \d+: apply_async has no 'chord' here: .*; unknown .* tusk_id"
    )
    with pytest.raises(TypeError, match=both):
        lab.quick.apply_async(tusk_id="x", chord=lab.add)


@pytest.mark.django_db
def test_on_commit_variants_are_the_same_as_those_without():
    """A task is part of the transaction always: nothing is put off until the commit."""
    with transaction.atomic():
        first = lab.quick.delay_on_commit("a")
        second = lab.quick.apply_async_on_commit(("b",), queue="mail")
        rows = Task.objects.order_by("id").values_list("pk", "payload", "queue")
        assert list(rows) == [
            (first.id.int, '[["a"],{}]', "default"),
            (second.id.int, '[["b"],{}]', "mail"),
        ]


@pytest.mark.django_db
def test_an_async_task_is_sent_like_any_other():
    lab.doze.delay("a", 0.1)
    assert Task.objects.get().name == "tests.project.lab.tasks.doze"


@pytest.mark.django_db
def test_an_option_of_apply_async_that_is_none_was_not_given():
    lab.quick.apply_async(("a",), **dict.fromkeys([*options.INSTEAD_IN_CALL, "serializer"]))
    assert Task.objects.count() == 1
    with pytest.raises(TypeError, match="unknown apply_async option timeout"):
        lab.quick.apply_async(("a",), timeout=None)


@pytest.mark.django_db
def test_sending_is_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        lab.quick.delay("a")
