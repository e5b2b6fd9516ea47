"""Workflows of Celery's canvas in which a step fails: errbacks, and what comes after it."""

from __future__ import annotations

import pytest

from taskq.celery import (
    AsyncResult,
    ChordError,
    TaskFailed,
    chain,
    chord,
    group,
    shared_task,
)
from taskq.models import Task
from taskq.testing import run_all
from tests.taskq.celery.canvas_tasks import (
    add,
    fail,
    left,
    note,
    ran,
    run,
    told_all,
    told_id,
    total,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_ran")]


def test_an_errback_gets_the_id_or_all():
    result = fail.apply_async(link_error=[told_id.s(), told_all.s()])
    fail.apply_async(link_error=told_id.s(word="again"))
    add.apply_async((1, 2), link_error=told_id.s())
    run_all(propagate=False)
    told = [each for each in ran if each[0] not in ("fail", "add")]
    assert ("by id", result.id) in told
    assert (result.id, fail.name, TaskFailed, "KeyError: 'no'", True) in told
    assert [each[0] for each in told].count("again") == 1
    assert len(told) == 3


def test_an_errback_gets_the_id_that_the_caller_gave():
    fail.apply_async(task_id="mine", headers={"a": 1}, link_error=[told_id.s(), told_all.s()])
    run_all(propagate=False)
    assert sorted(each[:2] for each in ran if "mine" in each) == [
        ("by id", "mine"),
        ("mine", fail.name),
    ]


def test_the_errback_of_a_chain_runs_once_wherever_it_fails():
    result = chain(add.s(1, 1), fail.s(), add.s(1)).on_error(told_id.s()).delay()
    run_all(propagate=False)
    assert [each for each in ran if each[0] == "by id"] == [("by id", result.parent.id)]
    assert [name for name, _ in left()] == ["fail", "add"]


def test_the_errback_of_a_chord_hears_of_its_header_and_its_body():
    chord([fail.s(1), fail.s(2)], total.s()).on_error(told_id.s()).delay()
    chord([add.s(1)], fail.s()).on_error(told_id.si("body")).delay()
    (group(fail.s(3), add.s(1)) | total.s().on_error(told_id.si("piped"))).delay()
    run_all(propagate=False)
    told = [each[1] for each in ran if each[0] == "by id"]
    assert len(told) == 3
    assert {"body", "piped"} < set(told)


def test_each_part_of_a_group_that_fails_is_told():
    parts = group(fail.s(1), fail.s(2), add.s(1))
    parts.link_error(told_id.s())
    result = parts.delay()
    run_all(propagate=False)
    assert {each[1] for each in ran if each[0] == "by id"} == {result[0].id, result[1].id}


def test_an_errback_may_be_a_workflow():
    result = fail.apply_async(link_error=told_id.s() | note.si("after"))
    run_all(propagate=False)
    assert [each for each in ran if each[0] != "fail"] == [
        ("by id", result.id),
        ("note", ("after",), {}),
    ]


def test_what_comes_after_a_failed_part_raises_its_error():
    result = (fail.s() | add.s(1) | add.s(2)).delay()
    run_all(propagate=False)
    assert left() == [("fail", "FAILED"), ("add", "BLOCKED"), ("add", "BLOCKED")]
    for each in (result, result.parent, AsyncResult(result.id)):
        assert (each.status, each.ready(), each.failed()) == ("FAILURE", True, True)
        with pytest.raises(TaskFailed, match="KeyError: 'no'"):
            each.get(timeout=0)
    assert isinstance(result.get(timeout=0, propagate=False), TaskFailed)


def test_a_failed_header_raises_a_chord_error_that_names_it():
    for header in ([fail.s(), add.s(1)], [fail.s()]):
        result = chord(header)(total.s())
        run_all(propagate=False)
        with pytest.raises(ChordError, match=f"Dependency {result.parent[0].id} raised KeyError"):
            result.get(timeout=0)
    assert result.parent.failed()
    with pytest.raises(TaskFailed, match="KeyError"):
        result.parent.get(timeout=0)
    values = result.parent.get(timeout=0, propagate=False)
    assert isinstance(values[0], TaskFailed)


def test_once_the_failed_part_is_retried_the_workflow_goes_on():
    result = (flaky.s(5) | add.s(1)).delay()
    run_all(propagate=False)
    assert result.failed()
    flaky.fails = False
    Task.objects.failed().retry()
    assert result.status == "PENDING"
    assert run(result) == 6


@shared_task(ignore_result=False)
def flaky(x):
    if getattr(flaky, "fails", True):
        raise KeyError
    return x
