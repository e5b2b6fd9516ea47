"""What ``|``, ``chain``, ``group`` and ``chord`` make of signatures. Nothing is sent."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from taskq import limits
from taskq.celery import chain, chord, chunks, group, shared_task, signature, xmap, xstarmap


@shared_task
def add(x, y=0):
    return x + y


@shared_task
def total(values):
    return sum(values)


A, B, C, D = (add.s(number) for number in range(4))


def kinds(part):
    """The shape of a workflow: names of types, and numbers of single tasks."""
    match part.subtask_type:
        case "chain" | "group":
            return part.subtask_type, [kinds(each) for each in part.tasks]
        case "chord":
            return "chord", [kinds(each) for each in part.tasks], kinds(part.body)
    return part.args[0] if part.args else part.task


def test_tasks_make_a_chain():
    for made in (A | B | C, chain(A, B, C), chain([A, B, C]), chain(each for each in (A, B, C))):
        assert isinstance(made, chain)
        assert kinds(made) == ("chain", [0, 1, 2])
    assert kinds(chain(A)) == ("chain", [0])
    assert kinds(chain()) == ("chain", [])


def test_a_chain_in_a_chain_becomes_part_of_it():
    assert kinds((A | B) | (C | D)) == ("chain", [0, 1, 2, 3])
    assert kinds(A | (B | C)) == ("chain", [0, 1, 2])
    assert kinds(chain(A, chain(B, C), D)) == ("chain", [0, 1, 2, 3])


def test_a_group_with_something_behind_becomes_a_chord():
    for made in (group(A, B) | C, chain(group(A, B), C)):
        assert isinstance(made, chord)
        assert kinds(made) == ("chord", [0, 1], 2)
    assert kinds(A | group(B, C) | D) == ("chain", [0, ("chord", [1, 2], 3)])
    assert kinds(chain(A, group(B, C), D)) == ("chain", [0, ("chord", [1, 2], 3)])
    behind = ("chord", [0, 1], ("chain", [2, 3]))
    assert kinds(group(A, B) | C | D) == behind
    assert kinds(chain(group(A, B), C, D)) == behind


def test_groups_behind_groups_are_bodies():
    assert kinds(group(A, B) | group(C, D)) == ("chord", [0, 1], ("group", [2, 3]))
    made = A | group(B, C) | D | group(A, B) | C
    assert kinds(made) == ("chain", [0, ("chord", [1, 2], ("chain", [3, ("chord", [0, 1], 2)]))])


def test_a_group_of_one_is_that_one():
    assert kinds(A | group(B)) == ("chain", [0, 1])
    assert kinds(A | group([B]) | C) == ("chain", [0, 1, 2])
    assert kinds(chain(group(A), B)) == ("chain", [0, 1])


def test_an_empty_group_is_passed_over():
    assert kinds((A | B) | group()) == ("chain", [0, 1])
    assert kinds(group(A, B) | group([])) == ("group", [0, 1])
    assert kinds(chain(A, group([]), B)) == ("chain", [0, 1])


def test_a_chord_with_something_behind():
    made = chord([A, B], total.s())
    assert kinds(made | C) == ("chord", [0, 1], ("chain", [total.name, 2]))
    assert kinds(made | group(A, B)) == (
        "chain",
        [("chord", [0, 1], total.name), ("group", [0, 1])],
    )
    assert kinds(made) == ("chord", [0, 1], total.name)


def test_a_chord_takes_its_header_in_all_forms():
    for header in (
        [A, B],
        (A, B),
        group(A, B),
        A | B,
        (each for each in (A, B)),
        dict(group(A, B)),
    ):
        assert kinds(chord(header, C)) == ("chord", [0, 1], 2)
    assert kinds(chord(A, B)) == ("chord", [0], 1)
    assert chord([A]).body is None
    assert chord([add, A], B).tasks == [add.s(), A]


def test_workflows_go_through_json_pickle_and_copies():
    for given in (
        A | B,
        group(A, B),
        chord([A, B], total.s(), queue="q"),
        A | group(B, C | D) | total.s(),
        add.map([1, 2]),
        add.starmap([(1, 2)]),
        add.chunks([(1, 2), (3, 4)], 1),
        chain(A, B).on_error(add.s()),
        group(A, B).set(priority=3),
    ):
        for again in (
            signature(json.loads(json.dumps(given))),
            pickle.loads(pickle.dumps(given)),
            copy.deepcopy(given),
            given.clone(),
        ):
            assert type(again) is type(given)
            assert json.dumps(again) == json.dumps(given)


def test_what_an_operator_takes_is_not_changed():
    first, header, body = A | B, group(A, B), chord([A, B], total.s())
    texts = [json.dumps(each) for each in (first, header, body, C)]
    for other in (C, group(A, B), chord([A], B), A | B):
        for each in (first, header, body, C):
            each | other
    assert [json.dumps(each) for each in (first, header, body, C)] == texts


def test_the_errbacks_of_a_chain_stay_with_its_parts():
    made = (A | B).on_error(add.s(9)) | C
    assert [part.options.get("link_error") for part in made.tasks] == [[add.s(9)], [add.s(9)], None]
    made = chain(A, B)
    made.link(add.s(8))
    assert (made | C).tasks[1].options["link"] == [add.s(8)]


def test_links_of_a_group_and_a_chord():
    parts = group(add.s(1), add.s(2))
    parts.link(add.s(8))
    assert [part.options.get("link") for part in parts.tasks] == [[add.si(8)], None]
    parts.link_error(add.s(9))
    assert [part.options["link_error"] for part in parts.tasks] == [[add.s(9)], [add.s(9)]]
    made = chord([add.s(1)], add.s(2))
    made.link(add.s(8))
    assert made.on_error(add.s(9)) is made
    assert made.body.options == {"link": [add.s(8)], "link_error": [add.s(9)]}
    assert made.tasks[0].options == {}


def test_a_group_is_set_immutable_part_by_part():
    parts = group(add.s(1), add.s(2)).set(immutable=True)
    assert [part.immutable for part in parts.tasks] == [True, True]
    made = chord([add.s(1)], add.s(2)).set(immutable=True)
    assert (made.tasks[0].immutable, made.body.immutable) == (True, False)


def test_a_group_is_spread_over_time():
    parts = group(add.s(each) for each in range(4)).skew(start=1, stop=3)
    assert [part.options["countdown"] for part in parts.tasks] == [1, 2, 3, 3]
    assert len(parts) == 4


def test_maps_and_chunks():
    assert isinstance(add.map(range(2)), xmap)
    assert isinstance(add.starmap([(1, 2)]), xstarmap)
    made = add.chunks(((each, each) for each in range(5)), 2)
    assert isinstance(made, chunks)
    parts = made.group()
    assert [part.kwargs["it"] for part in parts.tasks] == [
        [(0, 0), (1, 1)],
        [(2, 2), (3, 3)],
        [(4, 4)],
    ]
    with pytest.raises(ValueError, match="n is 0: give the number of calls in a run, 1 or more"):
        add.chunks([], 0)


def test_texts():
    assert repr(A | B) == f"{add.name}(0) | add(1)"
    assert repr(group(A)) == f"group([{add.name}(0)])"
    assert repr(group()) == "group(<empty>)"
    assert repr(chord([A], B | C)) == f"%{add.name}([add(0)], 1) | add(2)"
    assert repr(chord([A])) == f"<chord without body: [{add.name}(0)]>"
    assert "empty" in repr(chain())
    assert repr(add.map([1])) == f"[{add.name}(x) for x in [1]]"
    assert repr(add.starmap([(1, 2)])) == f"[{add.name}(*x) for x in [(1, 2)]]"


@pytest.mark.parametrize("nonsense", [5, add, "add", None, {"args": []}])
def test_a_part_that_is_no_signature_is_refused_with_its_place(nonsense):
    said = r"part 1 of {} is .*: give a signature, such as task\.s\(\)"
    with pytest.raises(TypeError, match=said.format("a chain")):
        chain(A, nonsense)
    with pytest.raises(TypeError, match=said.format("a group")):
        group([A, nonsense])
    if nonsense is not add:  # Celery takes a task itself in a header
        with pytest.raises(TypeError, match=said.format("the header of a chord")):
            chord([A, nonsense], B)
    with pytest.raises(TypeError):
        A | nonsense


@pytest.mark.parametrize("nonsense", [5, "add", None])
def test_parts_that_are_no_list_are_refused(nonsense):
    with pytest.raises(TypeError, match=r"a group is .*: give signatures, such as task"):
        group(nonsense)
    with pytest.raises(TypeError, match=r"the header of a chord is .*: give signatures"):
        chord(nonsense, B)


def test_too_many_parts_are_refused_before_all_are_made(monkeypatch):
    monkeypatch.setattr(limits, "STEPS", 10)

    def endless():
        while True:
            yield add.s(1)

    for make in (group, chain, lambda parts: chord(parts, B)):
        with pytest.raises(
            ValueError, match=r"has more than 10 parts: give each more to do \(chunk"
        ):
            make(endless())
