"""``GroupResult`` and ``ResultSet``: what is known of many tasks at once."""

from __future__ import annotations

import json
import pickle

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from taskq.celery import (
    AsyncResult,
    GroupResult,
    NoResult,
    ResultSet,
    TaskFailed,
    group,
    result_from_tuple,
    shared_task,
)
from taskq.exceptions import IncompleteStream
from taskq.models import Result, Task
from taskq.testing import run_all


@shared_task(ignore_result=False)
def add(x, y=0):
    return x + y


@shared_task(ignore_result=False)
def total(values):
    return sum(values)


@shared_task(ignore_result=False)
def fail():
    raise KeyError("no")


@shared_task
def forget():
    pass


def some(many=3):
    return [AsyncResult(number) for number in range(1, many + 1)]


def test_a_set_has_members():
    first, second, third = some()
    results = ResultSet([first])
    results.add(second)
    results.add(second)
    results.update([third, first])
    assert list(results) == [first, second, third]
    assert (len(results), results[1], results[1:]) == (3, second, [second, third])
    results.remove(second.id)
    results.discard(second)
    with pytest.raises(KeyError):
        results.remove(second)
    assert results == ResultSet([first, third])
    assert results != ResultSet([first])
    assert repr(results) == f"<ResultSet: [{first.id}, {third.id}]>"
    results.clear()
    assert list(results) == []


def test_a_group_result_has_an_id_and_goes_through_json_and_pickle():
    before = AsyncResult(9)
    result = GroupResult("the id", some(2), parent=before)
    assert (str(result), result == "the id", hash(result)) == ("the id", True, hash("the id"))
    assert (bool(GroupResult("x", [])), result.children) == (True, result.results)
    for again in (
        result_from_tuple(json.loads(json.dumps(result.as_tuple()))),
        pickle.loads(pickle.dumps(result)),
        result_from_tuple(result),
    ):
        assert again == result
        assert again.parent == before
    assert result != GroupResult("the id", some(1), parent=before)
    assert GroupResult().id != GroupResult().id
    assert repr(result) == f"<GroupResult: the id [{some()[0].id}, {some()[1].id}]>"


def test_results_know_those_before_them():
    last = AsyncResult(2, parent=GroupResult("g", some(1), parent=AsyncResult(3)))
    assert last.as_list() == [last.id, "g", AsyncResult(3).id]
    assert result_from_tuple(last.as_tuple()).as_list() == last.as_list()
    assert result_from_tuple((last.id, None)) == last


@pytest.mark.django_db
def test_a_saved_group_is_restored():
    result = group(add.s(1), group(add.s(2)))()
    nested = GroupResult("outer", [result, add.delay(3)])
    for each in (result, nested, nested):
        each.save()
    assert GroupResult.restore(result.id) == result
    assert GroupResult.restore("outer") == nested
    assert GroupResult.restore("another") is None
    run_all()
    assert GroupResult.restore("outer").get(0) == [[1, 2], 3]
    nested.delete()
    assert GroupResult.restore("outer") is None
    assert Result.objects.filter(name="taskq.group").count() == 1


@pytest.mark.django_db
def test_many_are_looked_up_by_few_queries():
    result = group(add.s(number) for number in range(30))()
    result.revoke()
    result = group(add.s(number) for number in range(30))()
    run_all()
    for look in (result.ready, result.completed_count, lambda: result.get(0)):
        with CaptureQueriesContext(connection) as queries:
            assert look()
        assert len(queries) <= 3


@pytest.mark.django_db
def test_a_failed_member_is_raised_or_in_its_place():
    result = group(add.s(1), fail.s(), add.s(2))()
    run_all(propagate=False)
    assert (result.ready(), result.failed(), result.successful()) == (True, True, False)
    assert result.completed_count() == 2
    for raising in (lambda: result.get(0), result.maybe_throw, lambda: list(result.iterate(0))):
        with pytest.raises(TaskFailed, match="KeyError: 'no'"):
            raising()
    values = result.get(0, propagate=False)
    assert (values[0], values[2]) == (1, 2)
    assert isinstance(values[1], TaskFailed)
    assert isinstance(values[1], KeyError)
    seen = []
    assert result.get(0, propagate=False, callback=lambda id, value: seen.append(id)) == []
    assert seen == [each.id for each in result]


@pytest.mark.django_db
def test_what_is_not_done_times_out_and_what_is_unknown_says_so():
    result = group(add.s(1), add.s(2))()
    with pytest.raises(TimeoutError, match=f"{result.id}.* is not done after 0 s"):
        result.get(timeout=0)
    with pytest.raises(TimeoutError):
        list(result.iterate(timeout=0))
    with pytest.raises(IncompleteStream):
        list(result.iterdeps())
    assert list(result.iterdeps(intermediate=True)) == [(None, result)]
    assert result.revoke() == [True, True]
    with pytest.raises(NoResult):
        result.get(timeout=0)
    ignoring = group(forget.s())()
    run_all()
    with pytest.raises(NoResult, match="ignore_result=False"):
        ignoring.get(timeout=0)


@pytest.mark.django_db
def test_forgetting_a_result_forgets_those_before_it():
    result = (add.s(1) | group(add.s(1), add.s(2)) | total.s() | add.s(1)).delay()
    run_all()
    assert (Result.objects.count(), result.exists()) == (5, True)
    result.forget()
    assert (Result.objects.count(), result.exists()) == (0, False)


@pytest.mark.django_db
def test_forgetting_a_group_forgets_each_member():
    result = group(add.s(1), add.s(2))()
    run_all()
    result.forget()
    assert not Result.objects.exists()
    assert not Task.objects.exists()
