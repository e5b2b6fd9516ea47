"""A graph is drawn with a bounded number of nodes, whatever its size; and how its steps stand."""

from __future__ import annotations

import itertools

import pytest

from taskq.models import On, SentWorkflow, Task
from taskq.workflow import Workflow
from taskq.workflow.folding import MOST, PLAIN, fold
from taskq.workflow.shape import shape_of, shaped
from taskq.workflow.standing import Standing, of_row, standings
from tests.project.lab import tasks as lab

DONE, FAILED, GONE = Standing.DONE, Standing.FAILED, Standing.GONE
BLOCKED, READY = Standing.BLOCKED, Standing.READY


def shape(names, *edges):
    """A graph of these names. An edge is a part and a step, and maybe a place and an end."""
    places = itertools.count()
    columns = ("part", "step", "place", "waits_for")
    full = [(*edge, next(places), On.DONE)[:4] if len(edge) == 2 else edge for edge in edges]
    given = [dict(zip(columns, edge, strict=True)) for edge in full]
    return shaped(range(1, len(names) + 1), names, given)


def nodes(folded):
    return [(node.names[0], len(node.steps)) for node in folded.nodes]


def pairs(folded):
    return {(part, step) for part, step, _on in folded.links}


# Folding


def test_a_small_graph_is_as_it_is():
    found = fold(shape(["a", "a", "b"], (0, 2), (1, 2)))
    assert nodes(found) == [("a", 1), ("a", 1), ("b", 1)]
    assert pairs(found) == {(0, 2), (1, 2)}
    assert [node.layer for node in found.nodes] == [0, 0, 1]


def test_parts_of_a_group_that_are_alike_are_one_node():
    parts = range(500)
    names = ["part"] * 500 + ["after"] * 500 + ["body"]
    links = [(part, 500 + part) for part in parts] + [(500 + part, 1000) for part in parts]
    found = fold(shape(names, *links))
    assert nodes(found) == [("part", 500), ("after", 500), ("body", 1)]
    assert pairs(found) == {(0, 1), (1, 2)}


def test_steps_for_which_others_wait_are_told_apart():
    names = ["load"] * 40 + ["sum", "print"]
    links = [(part, 40 if part < 10 else 41) for part in range(40)]
    found = fold(shape(names, *links))
    assert nodes(found) == [("load", 10), ("load", 30), ("sum", 1), ("print", 1)]
    assert pairs(found) == {(0, 2), (1, 3)}


def test_a_chain_that_is_too_long_is_drawn_in_bands():
    found = fold(shape(["link"] * 1000, *((part, part + 1) for part in range(999))))
    assert len(found.nodes) <= MOST
    assert sum(len(node.steps) for node in found.nodes) == 1000
    assert pairs(found) == {(at, at + 1) for at in range(len(found.nodes) - 1)}


def test_many_kinds_are_put_together():
    names = [f"kind {number}" for number in range(1000)]
    found = fold(shape(names, *((part, part + 100) for part in range(900))))
    assert len(found.nodes) <= MOST
    assert len(found.nodes[0].names) > 1


@pytest.mark.parametrize("count", [PLAIN, PLAIN + 1, MOST, MOST + 1, 300])
def test_a_node_comes_after_those_that_it_waits_for(count):
    # Each step waits for two of those before it.
    edges = {(at // 3, at) for at in range(1, count)} | {(at - 1, at) for at in range(1, count)}
    found = fold(shape([f"kind {at % 7}" for at in range(count)], *sorted(edges)))
    assert len(found.nodes) <= MOST
    assert all(part < step for part, step in pairs(found))
    layers = [node.layer for node in found.nodes]
    assert layers == sorted(layers)
    assert all(layers[part] < layers[step] for part, step in pairs(found))


def test_a_graph_without_steps_has_no_nodes():
    assert fold(shape([])).nodes == []


# How the steps stand


def test_a_step_without_a_row_is_done():
    graph = shape(["a", "b", "c"], (0, 1), (1, 2))
    assert standings(graph, {3: BLOCKED}, cancelled=False) == [DONE, DONE, BLOCKED]
    assert standings(graph, {}, cancelled=True) == [GONE, GONE, GONE]


def test_what_waits_for_a_failure_that_did_not_happen_did_not_run():
    graph = shape(
        ["a", "on failure", "after that", "at any end"], (0, 1, 0, 1), (1, 2), (1, 3, 0, 2)
    )
    assert standings(graph, {}, cancelled=False) == [DONE, GONE, GONE, DONE]
    assert standings(graph, {1: FAILED}, cancelled=False) == [FAILED, DONE, DONE, DONE]


def test_one_of_several_parts_gives_an_input():
    # The second runs if the first fails, and takes its place for the third.
    graph = shape(["a", "instead", "c"], (0, 1, 0, 1), (0, 2, 0, 0), (1, 2, 0, 0))
    assert standings(graph, {1: FAILED}, cancelled=False) == [FAILED, DONE, DONE]
    assert standings(graph, {}, cancelled=False) == [DONE, GONE, DONE]


def test_the_states_of_rows():
    assert [of_row(state, False) for state in (0, 1, 2, 3)] == [
        *(READY, Standing.RUNNING, FAILED, BLOCKED),
    ]
    assert of_row(2, True) is Standing.CANCELLED
    assert of_row(9, False) is READY


# As it is stored


@pytest.mark.django_db
def test_a_graph_is_read_as_it_was_sent():
    flow = Workflow()
    parts = [flow.add(lab.add, [i, 0]) for i in range(3)]
    total = flow.add(lab.trace, [flow.results(parts)])
    flow.add(lab.noop, after=[total], on="failed")
    sent = flow.send()
    graph = shape_of(sent.pk, "default")
    assert sent.size == len(graph) == 5
    assert list(graph.ids) == sent.task_ids
    assert [name.rpartition(".")[2] for name in graph.names] == [*["add"] * 3, "trace", "noop"]
    assert [(each.part, each.on) for each in graph.inputs(3)] == [(i, On.DONE) for i in range(3)]
    assert [tuple(each) for each in graph.inputs(4)] == [(3, 0, On.FAILED)]
    assert shape_of(sent.pk + 1, "default") is None


@pytest.mark.django_db
def test_a_task_that_others_replace_comes_last():
    row = SentWorkflow.objects.create(
        steps='[{"name": "part"}]',
        edges='[{"part": 0, "step": 1, "place": 0, "waits_for": 0}]',
        tasks=f"[{Task.objects.create(name='a').pk}, 7]",
    )
    graph = shape_of(row.pk, "default")
    assert graph.names == ["part", ""]
    assert [each.part for each in graph.inputs(1)] == [0]
