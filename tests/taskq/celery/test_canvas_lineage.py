"""``request.root_id`` and ``request.parent_id`` of the steps of a workflow."""

from __future__ import annotations

import pytest

from taskq.celery import chain, chord, group, shared_task
from taskq.testing import run_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]


@pytest.fixture
def lineage():
    """The ids of root and parent of each run, by the word that it was called with; and the task."""
    found = {}

    @shared_task(name="step", bind=True, ignore_result=False)
    def step(self, word):
        found[word] = self.request.root_id, self.request.parent_id, self.request.id

    @shared_task(name="fails", bind=True)
    def fails(self, word):
        found[word] = self.request.root_id, self.request.parent_id, self.request.id
        raise KeyError("no")

    return found, step, fails


def test_each_step_has_the_first_as_its_root_and_the_one_before_as_its_parent(lineage):
    found, step, _ = lineage
    header = group(step.si("c"), step.si("d"))
    sent = chain(step.si("a"), step.si("b").set(link=step.si("linked")), header, step.si("e"))
    sent.apply_async()
    run_all()
    root = found["a"][2]
    before = {"a": None, "b": "a", "linked": "b", "c": "b", "d": "b", "e": "c"}
    assert {word: each[:2] for word, each in found.items()} == {
        word: (root, found[part][2] if part else None) for word, part in before.items()
    }


def test_parts_of_a_header_that_comes_first_are_roots_of_their_own(lineage):
    found, step, _ = lineage
    chord([step.si("a"), step.si("b") | step.si("c")], step.si("body")).delay()
    run_all()
    a, b = found["a"][2], found["b"][2]
    assert [found[word][:2] for word in ("a", "b", "c", "body")] == [
        (a, None),
        (b, None),
        (b, b),
        (a, a),
    ]


def test_what_the_caller_says_counts(lineage):
    found, step, _ = lineage
    first = step.si("a").set(task_id="first", root_id="older", parent_id="old")
    (first | step.si("b") | step.si("c").set(root_id="mine")).apply_async()
    run_all()
    assert found["a"] == ("older", "old", "first")
    assert found["b"][:2] == ("older", "first")
    assert found["c"][:2] == ("mine", found["b"][2])


def test_an_errback_of_one_task_has_that_as_its_parent(lineage):
    found, step, fails = lineage
    fails.si("a").on_error(step.si("told")).apply_async()
    (fails.si("b") | step.si("c")).on_error(step.si("of both")).apply_async()
    run_all(propagate=False)
    assert found["told"][:2] == (found["a"][2], found["a"][2])
    assert found["of both"][:2] == (found["b"][2], None)


def test_a_task_that_is_no_step_and_one_that_takes_a_place_have_their_own_id(lineage):
    found, step, _ = lineage

    @shared_task(bind=True)
    def replaced(self):
        return self.replace(step.si("new") | step.si("last"))

    step.delay("alone")
    (step.si("first") | replaced.si()).delay()
    run_all()
    assert found["alone"][:2] == (found["alone"][2], None)
    assert found["new"][:2] == (found["new"][2], None)
    assert found["last"][:2] == (found["first"][2], found["first"][2])
