"""Tasks that change the workflow they run in: ``self.replace()`` and ``self.add_to_chord()``."""

from __future__ import annotations

import pytest

from taskq.celery import chain, chord, group, shared_task
from taskq.models import State, Task
from taskq.testing import run_all

pytestmark = pytest.mark.django_db


@shared_task(ignore_result=False)
def add(x, y=0):
    return x + y


@shared_task(ignore_result=False)
def keep(*args):
    return list(args)


@shared_task(ignore_result=False)
def fail(*args):
    raise KeyError("no")


def replaced_by(make, name="replaced", **options):
    """A task that is replaced by what ``make`` returns for its argument."""

    @shared_task(name=name, bind=True, ignore_result=False, **options)
    def task(self, x=1):
        return self.replace(make(x))

    return task


def run(sent):
    run_all(propagate=False)
    return sent.get(timeout=0)


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda x: add.s(x, 1), 2),
        (lambda x: add.s(x, 1) | add.s(10) | add.s(100), 112),
        (lambda x: group(add.s(x), add.s(2)), [1, 2]),
        (lambda x: add.s(x) | group(add.s(1), add.s(2)), [2, 3]),
        (lambda x: chord([add.s(x), add.s(2)], keep.s("end")), [[1, 2], "end"]),
        (lambda x: chord([], keep.s()), [[]]),
        (lambda x: add.s(x, 1).on_error(keep.s()), 2),
    ],
)
def test_a_task_is_replaced_under_its_own_id(make, value):
    task = replaced_by(make)
    result = task.delay(1)
    assert run(result) == value
    assert not Task.objects.filter(state=State.FAILED).exists()


def test_what_waits_for_a_replaced_task_waits_for_what_replaces_it():
    task = replaced_by(lambda x: add.s(x, 1) | add.s(10))
    assert run((task.s(1) | keep.s("after")).delay()) == [12, "after"]
    assert run(chord([task.s(2), add.s(3)], keep.s()).delay()) == [[13, 3]]
    linked = task.apply_async((1,), link=keep.s("linked"))
    run_all()
    assert [each.get(0) for each in linked.children] == [[12, "linked"]]


def test_a_replacement_may_be_replaced():
    inner = replaced_by(lambda x: add.s(x, 1), name="inner")
    outer = replaced_by(lambda x: inner.s(x) | keep.s("out"), name="outer")
    assert run((outer.s(1) | keep.s()).delay()) == [[2, "out"]]


def test_what_cannot_replace_fails_the_task():
    for make, said in (
        (lambda x: chain(), "an empty chain cannot replace a task"),
        (lambda x: 5, "what is to replace a task is 5: give a signature"),
        (lambda x: add.s(1, 2, 3), "too many positional arguments"),
    ):
        result = replaced_by(make).delay(1)
        run_all(propagate=False)
        assert said in str(result.get(0, propagate=False))


def test_a_replacement_that_fails_fails_what_follows():
    result = (replaced_by(lambda x: fail.s() | add.s(1)).s(1) | keep.s()).delay()
    run_all(propagate=False)
    assert (result.failed(), "KeyError" in str(result.result)) == (True, True)


def test_an_errback_of_a_replaced_task_hears_of_all_that_replaces_it():
    heard.clear()
    replaced = replaced_by(lambda x: fail.s() | add.s(1))
    (replaced.s(1) | keep.s()).on_error(hear.si("chain")).delay()
    chord([replaced.s(1), add.s(1)], keep.s()).on_error(hear.si("chord")).delay()
    replaced.apply_async((1,), link_error=hear.si("task"))
    good = replaced_by(lambda x: add.s(x) | add.s(1), name="good")
    good.apply_async((1,), link_error=hear.si("good"))
    run_all(propagate=False)
    assert sorted(heard) == ["chain", "chord", "task"]


heard: list = []


@shared_task
def hear(what):
    heard.append(what)


def test_outside_of_a_run_nothing_is_replaced():
    task = replaced_by(lambda x: add.s(x))
    with pytest.raises(RuntimeError, match=r"replaced does not run here, so nothing can replace"):
        task(1)


def test_an_eager_task_returns_what_replaces_it(settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    assert replaced_by(lambda x: add.s(x) | add.s(10)).delay(1).get() == 11
    assert replaced_by(lambda x: group(add.s(x), add.s(2))).delay(1).get() == [1, 2]


def test_a_part_is_added_to_the_chord_that_runs():
    @shared_task(name="more", bind=True, ignore_result=False)
    def more(self, x):
        if x:
            self.add_to_chord(more.s(x - 1))
        return x

    assert run(chord([more.s(2), add.s(9)], keep.s()).delay()) == [[2, 9, 1, 0]]


def test_what_cannot_be_added_to_a_chord_is_refused():
    @shared_task(name="adds", bind=True, ignore_result=False)
    def adds(self, what):
        if what == "lazy":
            self.add_to_chord(add.s(1), lazy=True)
        elif what == "chain":
            self.add_to_chord(chain(add.s(1), add.s(2)))
        else:
            self.add_to_chord(add.s(1))

    for what, said in (
        ("lazy", "lazy is True: the part is sent at once"),
        ("chain", "cannot be added to a chord: give a single task"),
        ("alone", "no step of a workflow runs here"),
    ):
        result = adds.delay(what)
        run_all(propagate=False)
        assert said in str(result.get(0, propagate=False))
