"""Workflows of Celery's canvas that are sent and run: each step once, with the right arguments."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from taskq.celery import (
    AsyncResult,
    ChordError,
    GroupResult,
    NoResult,
    TaskFailed,
    chain,
    chord,
    group,
    shared_task,
    signature,
)
from taskq.celery.canvas import planning
from taskq.models import Edge, SentWorkflow, State, Task
from taskq.testing import run_all

pytestmark = pytest.mark.django_db

#: What ran, in order: the name of the task and what it was called with.
ran: list = []


@pytest.fixture(autouse=True)
def _nothing_ran():
    ran.clear()


@shared_task(ignore_result=False)
def add(x, y=0):
    ran.append(("add", x, y))
    return x + y


@shared_task(ignore_result=False)
def total(values, more=0):
    ran.append(("total", values))
    return sum(values) + more


@shared_task(ignore_result=False)
def note(*args, **kwargs):
    ran.append(("note", args, kwargs))
    return list(args)


@shared_task(ignore_result=False)
def fail(*args):
    ran.append(("fail", args))
    raise KeyError("no")


@shared_task
def told_id(id, word="by id"):
    ran.append((word, id))


@shared_task
def told_all(request, error, traceback):
    ran.append((request.id, request.task, type(error), str(error), "KeyError" in traceback))


def run(sent):
    """Run all that waits, and return the value of what was sent."""
    run_all(propagate=False)
    return sent.get(timeout=0)


def left():
    """The names and states of the rows that are left."""
    rows = Task.objects.order_by("id").values_list("name", "state")
    return [(name.rpartition(".")[2], State(state).name) for name, state in rows]


def test_a_chain_passes_each_value_on():
    result = (add.s(1, 2) | add.s(10) | add.s(100)).delay()
    assert left() == [("add", "READY"), ("add", "BLOCKED"), ("add", "BLOCKED")]
    assert run(result) == 113
    assert ran == [("add", 1, 2), ("add", 3, 10), ("add", 13, 100)]
    assert (result.parent.get(0), result.parent.parent.get(0)) == (13, 3)
    assert result.parent.parent.parent is None
    assert (left(), Edge.objects.count()) == ([], 0)


def test_arguments_given_at_the_send_go_to_the_first_part():
    assert run(chain(add.s(1), add.s(10))(5)) == 16
    assert run(chain(note.s(1), note.si(2)).apply_async((5,), {"a": 6})) == [2]
    assert ran[-2:] == [("note", (5, 1), {"a": 6}), ("note", (2,), {})]


def test_an_immutable_part_waits_without_the_value():
    result = chain(add.s(1, 2), note.si("x"), note.s("y")).delay()
    assert run(result) == [["x"], "y"]


def test_a_group_gives_a_group_result_in_order():
    result = group(add.s(number, 1) for number in range(5))()
    assert isinstance(result, GroupResult)
    assert (len(result), result.ready(), result.waiting(), result.completed_count()) == (
        5,
        False,
        True,
        0,
    )
    assert run(result) == [1, 2, 3, 4, 5]
    assert (result.ready(), result.successful(), result.failed()) == (True, True, False)
    assert result.completed_count() == 5
    assert [each.get(0) for each in result] == list(result.iterate(0)) == [1, 2, 3, 4, 5]


def test_a_group_without_a_body_is_plain_tasks_of_one_statement():
    with CaptureQueriesContext(
        connection,
    ) as queries:
        group(add.s(number) for number in range(50)).delay()
    inserts = [each for each in queries if "INSERT" in each["sql"]]
    assert len(inserts) <= 1  # on PostgreSQL it is sent beside Django
    assert Task.objects.filter(state=State.READY, workflow=None).count() == 50


def test_the_arguments_of_a_group_go_to_each_part_and_groups_in_it_are_flat():
    result = group(add.s(1), group(add.s(2), group(add.s(3))), note.si(4))(10)
    assert run(result) == [11, 12, 13, [4]]


def test_a_group_of_unique_tasks_joins_those_that_wait(monkeypatch):
    @shared_task(name="once", unique="args")
    def once(x):
        pass

    result = group(once.s(1), once.s(2), once.s(1))()
    assert (Task.objects.count(), result[0] == result[2]) == (2, True)
    with pytest.raises(TypeError, match=r"step 0 .once.: the task is unique"):
        (once.s(1) | add.s(1)).delay()


def test_a_chord_gives_its_body_the_values_in_order():
    result = chord([add.s(number, 1) for number in range(5)])(total.s(more=100))
    assert isinstance(result.parent, GroupResult)
    assert run(result) == 115
    assert ran[-1] == ("total", [1, 2, 3, 4, 5])
    assert result.parent.get(0) == [1, 2, 3, 4, 5]


def test_an_empty_header_runs_the_body_with_an_empty_list():
    result = chord([])(total.s(more=1))
    assert left() == [("total", "READY")]
    assert run(result) == 1
    assert result.parent.get(0) == []
    assert run(chain(add.s(1), chord([], total.s(more=2))).delay()) == 2


def test_a_group_in_a_chain_joins_before_what_follows():
    result = (add.s(1, 1) | group(add.s(10), add.s(20)) | total.s() | add.s(1)).delay()
    assert run(result) == 35
    assert [each.get(0) for each in result.parent.parent] == [12, 22]
    assert result.parent.parent.parent.get(0) == 2


def test_workflows_in_workflows():
    inner = chain(add.s(1), add.s(2))
    header = [inner, group(add.s(5), add.s(6)), chord([add.s(7)], total.s())]
    chord(header, note.s()).apply_async((1,))
    run_all()
    assert ran[-1] == ("note", ([4, 6, 7, 8],), {})
    assert run((group(add.s(1, 1), add.s(2, 2)) | group(total.s(), total.s(more=1))).delay()) == [
        6,
        7,
    ]


def test_a_chain_that_ends_with_a_group_has_the_list_as_its_value():
    ends = add.s(1, 1) | group(add.s(1), add.s(2))
    result = ends.delay()
    assert isinstance(result, GroupResult)
    assert run(result) == [3, 4]
    assert result.parent.get(0) == 2
    assert run(group(ends).delay()) == [3, 4]
    assert run(group(ends, add.s(5)).delay()) == [[3, 4], 5]
    assert run(chord([ends, add.s(5)], note.s()).delay()) == [[[3, 4], 5]]


def test_the_body_of_a_chord_may_be_any_workflow():
    header = [add.s(1, 1), add.s(2, 2)]
    assert run(chord(header, total.s() | add.s(1)).delay()) == 7
    assert run(chord(header, group(total.s(), total.s(more=1))).delay()) == [6, 7]
    assert run(chord(header, chord([total.s(), total.s()], note.s())).delay()) == [[6, 6]]
    assert run(chord(header, note.si("end")).delay()) == ["end"]


def test_between_wide_groups_one_step_collects_the_values(monkeypatch):
    monkeypatch.setattr(planning, "WIDE", 20)
    parts = group(add.s(each, 0) for each in range(6))
    result = (parts | group(total.si([each]) for each in range(6)) | total.s()).delay()
    assert Edge.objects.count() == 6 + 6 + 6
    assert run(result) == 15


def test_maps_and_chunks_run():
    assert run(add.map([1, 2]).delay()) == [1, 2]
    assert run(add.starmap([(1, 2), (3, 4)]).delay()) == [3, 7]
    assert run(add.chunks([(each, each) for each in range(5)], 2)()) == [[0, 2], [4, 6], [8]]
    chunked = add.chunks([(each, 1) for each in range(4)], 2)
    assert run((chunked.group() | note.s()).delay()) == [[[1, 2], [3, 4]]]
    assert run(chord([chunked, add.s(1)], note.s()).delay()) == [[[1, 2], [3, 4], 1]]


def test_a_map_of_an_async_task_runs():
    @shared_task(name="later", queue="mail", priority=7)
    async def later(x):
        return x

    result = later.map([1, 2]).delay()
    assert Task.objects.filter(queue="mail", priority=7).count() == 1
    assert run(result) == [1, 2]


def test_links_run_with_the_value_and_are_children():
    result = add.apply_async((1, 2), link=[note.s("x"), note.si("y")])
    assert result.children is not None
    run_all()
    assert ran == [("add", 1, 2), ("note", (3, "x"), {}), ("note", ("y",), {})]
    assert [child.get(0) for child in result.children] == [[3, "x"], ["y"]]
    assert [value for _, value in result.collect()] == [3, [3, "x"], ["y"]]
    assert result.get_leaf() == ["y"]


def test_the_links_of_a_chain_and_a_chord_run_at_their_end():
    made = chain(add.s(1, 1), add.s(2))
    made.link(note.s("chain"))
    made.delay()
    made = chord([add.s(1, 1)], total.s())
    made.link(note.s("chord"))
    made.delay()
    run_all()
    assert sorted(each[1] for each in ran if each[0] == "note") == [(2, "chord"), (4, "chain")]


def test_a_link_of_a_group_is_refused():
    with pytest.raises(TypeError, match="link of a group: make it a chord"):
        group(add.s(1)).apply_async(link=note.s())


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


def test_a_workflow_is_sent_with_its_transaction_or_not_at_all():
    with transaction.atomic():
        chord([add.s(1), add.s(2)], total.s()).delay()
        assert Task.objects.count() == 3
        transaction.set_rollback(True)
    assert (Task.objects.count(), Edge.objects.count()) == (0, 0)


def test_the_options_of_a_workflow_go_to_its_parts():
    add.s(1).set(queue="one", priority=3).delay()
    chain(add.s(1), add.s(2).set(queue="two")).apply_async(countdown=100, queue="first")
    group(add.s(1), add.s(2).set(queue="three")).apply_async(queue="all")
    chord([add.s(1)], total.s()).apply_async(queue="chord", countdown=50)
    rows = Task.objects.order_by("id").values_list("queue", "priority", "delay")
    assert list(rows) == [
        ("one", 3, None),
        ("first", 0, None),
        ("two", 0, None),
        ("all", 0, None),
        ("all", 0, None),
        ("chord", 0, None),
        ("chord", 0, None),
    ]
    assert Task.objects.future().count() == 2


def test_a_signature_is_passed_to_a_task_as_json():
    @shared_task(name="caller")
    def caller(callback):
        signature(callback).delay(1)

    caller.delay(note.s(2) | note.s(3))
    run_all()
    assert ran == [("note", (1, 2), {}), ("note", ([1, 2], 3), {})]


def test_a_workflow_that_holds_itself_is_refused():
    made = chain(add.s(1), add.s(2))
    made.tasks.append(made)
    with pytest.raises(ValueError, match=r"celery\.chain is a part of itself: a workflow has no c"):
        made.delay()
    deep = add.s(1)
    for _ in range(planning.DEEPEST + 1):
        deep = group(deep, add.s(1)) if deep.subtask_type is None else chord([deep], add.s(1))
    with pytest.raises(ValueError, match="lies in more than 100 parts: make it flatter"):
        deep.delay()
    assert not Task.objects.exists()


def test_bad_parts_are_refused_at_the_call_with_their_step():
    with pytest.raises(TypeError, match=r"step 2: .*add: missing a required argument: 'x'"):
        chord([add.s(1), add.s(2)], add.si()).delay()
    with pytest.raises(TypeError, match=r"step 1: .*add: too many positional arguments"):
        (add.s(1, 2) | add.s(1, 2)).delay()
    with pytest.raises(TypeError, match="unknown apply_async option cuontdown"):
        (add.s(1) | add.s(1).set(cuontdown=1)).delay()
    with pytest.raises(ValueError, match=r"no task is registered by the name 'app.nothing'"):
        (add.s(1) | signature("app.nothing")).delay()
    with pytest.raises(TypeError, match="a chord has no body: give one"):
        chord([add.s(1)]).delay()
    with pytest.raises(TypeError, match="link is 5: give a signature, such as task"):
        add.apply_async((1,), link=5)
    with pytest.raises(TypeError, match=r"part 1 of the group: .*missing a required argument"):
        group(add.s(1), add.s()).delay()
    with pytest.raises(TypeError, match=r"idempotency_key of .*: a step of a workflow cannot have"):
        add.apply_async((1,), link=note.s(), idempotency_key="k")
    assert not Task.objects.exists()


def test_tasks_of_a_workflow_have_the_ids_that_their_callers_gave():
    result = chain(add.s(1, 2).set(task_id="first"), add.s(3)).apply_async(task_id="last")
    assert (result.id, result.parent.id) == ("last", "first")
    chord([add.s(1).set(task_id="part")], own_id.si()).apply_async(task_id="body")
    group(add.s(1).set(task_id="one"), add.s(2)).apply_async(task_id="the group")
    run_all()
    found = [AsyncResult(id).get(0) for id in ("first", "last", "part", "body", "one")]
    assert found == [3, 6, 1, "body", 1]


@shared_task(bind=True, ignore_result=False)
def own_id(self):
    return self.request.id


def test_a_frozen_signature_knows_its_results_before_it_is_sent():
    made = add.s(1, 1) | group(add.s(1), add.s(2)) | total.s() | add.s(10)
    result = made.freeze()
    before = [each.id for each in result.parents() if isinstance(each, AsyncResult)]
    assert (len(set(before)), result.status, result.children) == (2, "PENDING", None)
    sent = made.delay()
    assert (sent.id, [each.id for each in sent.parents() if each.id in before]) == (
        result.id,
        before,
    )
    run_all()
    assert result.get(0) == 17
    assert [each.get(0) for each in result.parent.parent.results] == [3, 4]
    assert add.s(1).freeze("mine").id == "mine"
    assert group(add.s(1)).freeze("of all").id == "of all"
    for nothing in (chain(), add.chunks([(1, 2)], 1)):
        with pytest.raises(TypeError):
            nothing.freeze()


def test_a_part_with_limits_and_forebears_tells_its_run():
    made = add.s(1).set(time_limit=50, soft_time_limit=40, root_id="root", parent_id="parent")
    (made | about.s()).delay()
    (add.s(1) | about.s().set(root_id="root", parent_id="parent")).delay()
    run_all()
    assert ran[-1] == ("about", "root", "parent")


@shared_task(bind=True)
def about(self, value):
    ran.append(("about", self.request.root_id, self.request.parent_id))


def test_a_workflow_is_called_by_its_shape_without_arguments():
    (add.s(1, 2) | group(add.s(3), add.s(4), note.s()) | total.s() | add.s(5)).delay()
    chord([add.s(1)])(total.s())
    chain(add.s(1) for _ in range(200)).delay(1)
    names = SentWorkflow.objects.order_by("id").values_list("name", flat=True)
    assert list(names[:2]) == ["add | (2 of add, note) | total | add", "(add)"]
    assert names[2] == "add | " * 16 + "add…"


def test_an_empty_chain_sends_nothing():
    assert chain().delay() is None
    assert run(group(chain(), add.s(1)).delay()) == [1]
    assert run(group().delay()) == []


def test_a_result_of_which_nothing_is_known():
    result = (add.s(1) | add.s(2)).delay()
    Task.objects.all().delete()
    assert (result.status, result.ready()) == ("PENDING", False)
    with pytest.raises(NoResult):
        result.get(timeout=0)
