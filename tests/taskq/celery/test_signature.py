"""Signatures: a task with some of its arguments and options, sent later."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from taskq.celery import (
    AsyncResult,
    EagerResult,
    Signature,
    maybe_signature,
    shared_task,
    signature,
)
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
    assert (signature.task, signature.type) == (note.name, note)
    assert (signature.args, signature.kwargs) == ((1, 2), {"c": 3})
    assert repr(signature) == f"{note.name}(1, 2, c=3)"


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


def test_a_signature_is_a_dict_that_json_can_carry():
    given = note.s(1, a={"b": 2}).set(queue="q", link=[note.si(3)])
    assert given == {
        "task": note.name,
        "args": (1,),
        "kwargs": {"a": {"b": 2}},
        "options": {"queue": "q", "link": [note.si(3)]},
        "subtask_type": None,
        "immutable": False,
    }
    again = signature(json.loads(json.dumps(given)))
    assert isinstance(again, Signature)
    assert (json.dumps(again), again.type) == (json.dumps(given), note)
    assert pickle.loads(pickle.dumps(given)) == given


def test_a_signature_is_made_of_a_name():
    given = signature(note.name, args=(1,), kwargs={"a": 2}, queue="q", immutable=True)
    assert given == note.si(1, a=2).set(queue="q")
    assert given.type is note
    assert maybe_signature(None) is None
    assert maybe_signature(given) is given
    assert maybe_signature(dict(given)) == given
    assert maybe_signature(given, clone=True) is not given


@pytest.mark.django_db
def test_a_name_that_no_task_has_is_refused():
    with pytest.raises(ValueError, match=r"no task is registered by the name 'app.nothing'"):
        signature("app.nothing").delay()
    with pytest.raises(ValueError, match=r"no task is registered by the name 'app.nothing'"):
        signature("app.nothing")()


@pytest.mark.parametrize("nonsense", [None, 5, print, {}, {"task": 5}, {"args": []}])
def test_what_is_no_task_makes_no_signature(nonsense):
    with pytest.raises(TypeError, match="give a "):
        signature(nonsense)


def test_a_clone_shares_nothing():
    given = note.s(1, a=1).set(queue="q").on_error(note.s())
    clone = given.clone((0,), {"b": 2}, priority=3)
    assert (clone.args, clone.kwargs) == ((0, 1), {"a": 1, "b": 2})
    assert clone.options == {"queue": "q", "link_error": [note.s()], "priority": 3}
    clone.options["link_error"][0].set(queue="other")
    clone.kwargs["c"] = 3
    assert given == note.s(1, a=1).set(queue="q").on_error(note.s())
    assert copy.deepcopy(given) == given


def test_parts_of_a_signature_are_replaced():
    given = note.s(1, a=1).set(queue="q")
    assert given.replace(args=(2,)) == note.s(2, a=1).set(queue="q")
    assert given.replace(kwargs={}) == note.s(1).set(queue="q")
    assert given.replace(options={}) == note.s(1, a=1)
    assert given == note.s(1, a=1).set(queue="q")


def test_links_are_signatures():
    given = note.s()
    assert given.link(note.s(1)) == note.s(1)
    assert given.on_error(note.s(2)) is given
    given.link(note.s(1))
    assert given.options == {"link": [note.s(1)], "link_error": [note.s(2)]}
    assert given.flatten_links() == [given, note.s(1)]
    for nonsense in (5, note, "note", {}):
        with pytest.raises(TypeError, match=r"link of .* give a signature, such as task.s\(\)"):
            given.link(nonsense)


@pytest.mark.django_db
def test_an_inverted_signature_is_sent_and_waited_for(settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    assert ~note.s(1, a=2) == ((1,), {"a": 2})


def test_the_text_of_a_signature_masks_what_is_sensitive():
    @shared_task(name="pay", sensitive=("card",))
    def pay(card, amount):
        pass

    assert "4111" not in repr(pay.s("4111", amount=5))
    assert "amount=5" in repr(pay.s("4111", amount=5))


def test_eager_signature_returns_its_result(settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    result = note.s(2).delay(1)
    assert isinstance(result, EagerResult)
    assert result.get() == ((1, 2), {})
