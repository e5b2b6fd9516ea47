"""Workflows of Celery's canvas that are sent and run: each step once, with the right arguments."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from taskq.celery import (
    GroupResult,
    chain,
    chord,
    group,
    shared_task,
)
from taskq.celery.canvas import planning
from taskq.models import Edge, State, Task
from taskq.testing import run_all
from tests.taskq.celery.canvas_tasks import (
    add,
    left,
    note,
    ran,
    run,
    total,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_ran")]


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


def test_an_empty_header_in_a_chain_waits_for_what_is_before_it():
    chain(add.s(1), chord([], total.s(more=2))).delay()
    assert left() == [("add", "READY"), ("total", "BLOCKED")]


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
