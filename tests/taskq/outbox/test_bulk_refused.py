"""Sending many tasks by one call: what is refused."""

from __future__ import annotations

import pytest

from taskq.models import Task
from taskq.task.payload import PayloadError
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("wrong", ["ab", b"ab", 5, None, object(), {1, 2}, {1: 2}, iter([1])])
def test_a_call_of_another_form_is_refused_by_its_index(wrong):
    with pytest.raises(TypeError, match=r"calls\[2\] is .*: give a tuple of the positional"):
        lab.quick.delay_many([("a",), ("b",), wrong])
    assert not Task.objects.exists()


def test_arguments_that_cannot_be_encoded_are_refused_by_index_and_path():
    with pytest.raises(PayloadError, match=r"calls\[1\]: args\[0\]\['x'\] is of type object"):
        lab.quick.delay_many([("a",), ({"x": object()},)])
    assert not Task.objects.exists()


def test_each_call_has_a_limit_of_its_own(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 100}
    lab.quick.delay_many([("x" * 90,)] * 5)
    with pytest.raises(PayloadError, match=r"calls\[3\]: the arguments take 109 bytes"):
        lab.quick.delay_many([("x",)] * 3 + [("x" * 100,)])
    assert Task.objects.count() == 5


@pytest.mark.parametrize(
    "wrong",
    [{"queue": ""}, {"priority": 101}, {"countdown": "x"}, {"eta": 1}, {"expires": "x"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_terms_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=f"{next(iter(wrong))} is "):
        lab.quick.delay_many([("a",)], **wrong)


@pytest.mark.parametrize("wrong", [{"link": 1}, {"task_id": "x"}, {"ignore_result": True}])
def test_unknown_terms_are_refused(wrong):
    with pytest.raises(TypeError, match=next(iter(wrong))):
        lab.quick.delay_many([("a",)], **wrong)
