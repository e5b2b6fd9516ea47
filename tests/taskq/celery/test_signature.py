"""Signatures: a task with some of its arguments and options, sent later."""

from __future__ import annotations

import pytest

from taskq.celery import AsyncResult, EagerResult, Signature, shared_task
from taskq.models import Task
from taskq.task import payload


@shared_task(queue="own", priority=1)
def note(*args, **kwargs):
    return args, kwargs


def sent():
    """The arguments of the one task in the table."""
    args, kwargs = payload.decode(Task.objects.get().payload)
    return tuple(args), kwargs


def test_signature_holds_task_and_arguments():
    signature = note.s(1, 2, c=3)
    assert isinstance(signature, Signature)
    assert (signature.task, signature.args, signature.kwargs) == (note, (1, 2), {"c": 3})
    assert repr(signature) == f"<signature of {note.name}>"


@pytest.mark.django_db
def test_making_a_signature_sends_nothing():
    note.s(1).set(queue="q")
    note.si(1)
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_delay_of_a_signature_returns_its_result():
    result = note.s(1).delay()
    assert isinstance(result, AsyncResult)
    assert result.id == Task.objects.get().uuid


@pytest.mark.django_db
def test_apply_async_of_a_signature_returns_its_result():
    result = note.s(1).apply_async()
    assert isinstance(result, AsyncResult)
    assert result.id == Task.objects.get().uuid


@pytest.mark.django_db
def test_arguments_given_later_come_first_as_in_celery():
    note.s(3, 4).delay(1, 2)
    assert sent() == ((1, 2, 3, 4), {})


@pytest.mark.django_db
def test_arguments_given_later_to_apply_async_come_first_as_in_celery():
    note.s(3, a=1, b=1).apply_async((1, 2), {"b": 2, "c": 2})
    assert sent() == ((1, 2, 3), {"a": 1, "b": 2, "c": 2})


@pytest.mark.django_db
def test_keyword_arguments_given_later_win():
    note.s(a=1, b=1).delay(b=2)
    assert sent() == ((), {"a": 1, "b": 2})


@pytest.mark.django_db
def test_immutable_signature_ignores_arguments_given_later():
    note.si(1, a=1).delay(2, a=2, b=2)
    assert sent() == ((1,), {"a": 1})


@pytest.mark.django_db
def test_immutable_signature_takes_options_given_later():
    note.si(1).apply_async(queue="q")
    assert Task.objects.get().queue == "q"


@pytest.mark.django_db
def test_signature_can_be_set_immutable_as_in_celery():
    note.s(1).set(immutable=True, queue="q").delay(2)
    assert sent() == ((1,), {})
    assert Task.objects.get().queue == "q"


def test_set_returns_the_signature():
    signature = note.s(1)
    assert signature.set(queue="q") is signature


@pytest.mark.django_db
def test_set_options_are_used():
    note.s(1).set(queue="q", priority=7).set(priority=8).delay()
    task = Task.objects.get()
    assert (task.queue, task.priority) == ("q", 8)


@pytest.mark.django_db
def test_options_given_later_win_over_those_set():
    note.s(1).set(queue="q", priority=7).apply_async(queue="later")
    task = Task.objects.get()
    assert (task.queue, task.priority) == ("later", 7)


@pytest.mark.django_db
def test_options_given_later_as_none_leave_those_set_in_force():
    note.s(1).set(queue="q", priority=7).apply_async(queue=None, priority=None)
    task = Task.objects.get()
    assert (task.queue, task.priority) == ("q", 7)


@pytest.mark.django_db
def test_options_of_the_task_are_used_without_any():
    note.s(1).delay()
    task = Task.objects.get()
    assert (task.queue, task.priority) == ("own", 1)


@pytest.mark.django_db
def test_unknown_option_of_a_signature_is_refused_when_it_is_sent():
    with pytest.raises(TypeError, match="unknown apply_async option cuontdown"):
        note.s(1).set(cuontdown=3).delay()
    with pytest.raises(TypeError, match="unknown apply_async option cuontdown"):
        note.s(1).apply_async(cuontdown=3)
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_signature_can_be_sent_again():
    signature = note.s(2)
    signature.delay(1)
    signature.delay(0)
    rows = Task.objects.order_by("id").values_list("payload", flat=True)
    assert list(rows) == ["[[1,2],{}]", "[[0,2],{}]"]


@pytest.mark.django_db
def test_signature_does_not_share_its_arguments():
    kwargs = {"a": 1}
    signature = note.s(**kwargs)
    kwargs["a"] = 2
    signature.apply_async(kwargs={"b": 3})
    signature.kwargs["a"] = 4
    assert sent() == ((), {"a": 1, "b": 3})


def test_calling_a_signature_just_calls_the_function():
    assert note.s(2, a=1)(1, b=2) == ((1, 2), {"a": 1, "b": 2})
    assert note.si(2, a=1)(1, b=2) == ((2,), {"a": 1})


def test_signature_of_a_bound_task_needs_no_self():
    @shared_task(bind=True)
    def who(self, a):
        return self, a

    assert who.s(1)() == (who, 1)


def test_eager_signature_returns_its_result(settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    result = note.s(2).delay(1)
    assert isinstance(result, EagerResult)
    assert result.get() == ((1, 2), {})
