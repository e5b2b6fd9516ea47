"""Workflows that run where they are sent: eager mode, and ``apply()``."""

from __future__ import annotations

import pytest

from taskq.celery import EagerResult, GroupResult, chain, chord, group, shared_task
from taskq.exceptions import Ignore
from taskq.models import Task

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent_eagerly")]

heard: list = []


@pytest.fixture(autouse=True)
def _nothing_heard():
    heard.clear()


@shared_task
def add(x, y=0):
    return x + y


@shared_task
def keep(*args, **kwargs):
    return list(args)


@shared_task
def hear(*args):
    heard.append(list(args))


@shared_task
def fail(*args):
    raise KeyError("no")


@shared_task
def told(request, error, traceback):
    heard.append((request.id, request.task, error, "KeyError" in traceback))


@shared_task
def told_id(id):
    heard.append(id)


def test_workflows_run_at_once():
    header = [add.s(1, 1), add.s(2, 2)]
    for made, value in (
        (add.s(1, 2) | add.s(10) | add.s(100), 113),
        (group(header), [2, 4]),
        (group(add.s(1), group(add.s(2), chain())), [1, 2]),
        (chord(header, keep.s("end")), [[2, 4], "end"]),
        (chord(header, keep.si("end")), ["end"]),
        (chord(header, keep.s() | keep.s("x")), [[[2, 4]], "x"]),
        (chord([], keep.s()), [[]]),
        (add.s(1) | group(add.s(1), add.s(2)) | keep.s() | keep.s("x"), [[[2, 3]], "x"]),
        (add.s(1) | group([]) | add.s(1), 2),
        (group(add.s(1) | group(add.s(1), add.s(2)), add.s(5)), [[2, 3], 5]),
        (add.map([1, 2]), [1, 2]),
        (add.chunks([(1, 1), (2, 2), (3, 3)], 2), [[2, 4], [6]]),
        (chord([add.chunks([(1, 1)], 1)], keep.s()), [[[2]]]),
    ):
        assert made.delay().get() == value
        assert made.apply().get() == value
    assert not Task.objects.exists()
    assert chain().delay() is None


def test_arguments_and_options_given_at_the_send():
    assert (add.s(1) | add.s(10)).delay(5).get() == 16
    assert group(add.s(1), add.s(2)).apply_async((10,), queue="q").get() == [11, 12]
    assert chord([add.s(1), add.s(2)], keep.s()).apply_async((10,)).get() == [[11, 12]]
    assert chord([add.s(1)])(keep.s()).get() == [[1]]


def test_results_have_their_parents():
    result = (add.s(1) | group(add.s(1), add.s(2)) | keep.s() | keep.s()).delay()
    assert isinstance(result, EagerResult)
    assert result.parent.get() == [[2, 3]]
    assert isinstance(result.parent.parent, GroupResult)
    assert result.parent.parent.parent.get() == 1


def test_links_run_with_the_value():
    result = add.apply_async((1, 2), link=[hear.s("x"), hear.si("y")])
    made = chain(add.s(1), add.s(2))
    made.link(hear.s("chain"))
    made.delay()
    assert heard == [[3, "x"], ["y"], [3, "chain"]]
    assert len(result.children) == 2


def test_errbacks_are_told():
    result = fail.apply_async(link_error=[told.s(), told_id.s()])
    assert isinstance(heard[0][2], KeyError)
    assert heard == [(result.id, fail.name, heard[0][2], True), result.id]
    heard.clear()
    add.apply_async((1,), link_error=told_id.s())
    with pytest.raises(KeyError):
        chain(fail.s(), add.s()).on_error(hear.s("chain")).delay()
    with pytest.raises(KeyError):
        chord([fail.s(), add.s(1)], add.s()).on_error(hear.s("chord")).delay()
    assert [each[-1] for each in heard] == ["chain", "chord"]


def test_the_last_error_is_in_the_result():
    result = (add.s(1) | fail.s()).delay()
    assert (result.failed(), type(result.result)) == (True, KeyError)
    with pytest.raises(KeyError):
        result.get()
    for sent in (fail, fail.s(), add.s(1) | fail.s()):
        with pytest.raises(KeyError):
            sent.apply_async(throw=True)


def test_ids_that_were_given():
    result = (add.s(1) | add.s(2)).apply_async(task_id="last")
    assert result.id == "last"
    assert chord([add.s(1)], keep.s()).apply_async(task_id="body").id == "body"


def test_a_part_that_is_ignored_ends_its_chain():
    @shared_task(name="ignoring")
    def ignoring():
        raise Ignore

    result = chain(ignoring.s(), hear.s()).apply()
    assert (result.status, result.get(), heard) == ("IGNORED", None, [])
    ignoring.apply_async(link=hear.s())
    assert heard == []
