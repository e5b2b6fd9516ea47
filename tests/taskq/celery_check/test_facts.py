"""The facts of the check are those of taskq: what is said to be there is, and so on."""

from __future__ import annotations

import importlib

import pytest

from taskq.celery import AsyncResult, Celery, setting_names, shared_task
from taskq.celery import signals as signals_of_celery
from taskq.celery_check.facts import modules, settings, uses
from taskq.celery_check.facts.fact import Fact, Verdict
from taskq.task.request import Request


def names(facts: dict[str, Fact], *verdicts: Verdict) -> list[str]:
    return [name for name, fact in facts.items() if fact.verdict in verdicts]


TAKEN = (Verdict.MOVES, Verdict.DIFFERS, Verdict.IDLE)


def function() -> None:
    """What the decorator gets."""


@pytest.mark.parametrize("module", modules.NAMES)
def test_names_that_move_are_there(module):
    found = importlib.import_module(f"taskq.{module}")
    for name in modules.NAMES[module].split():
        if not hasattr(found, name):
            importlib.import_module(f"taskq.{module}.{name}")


@pytest.mark.parametrize("name", modules.ELSEWHERE)
def test_names_of_other_modules_are_where_they_are_said_to_be(name):
    if name.rpartition(".")[2] != "uuid":
        assert hasattr(importlib.import_module(modules.ELSEWHERE[name]), name.rpartition(".")[2])


@pytest.mark.parametrize("name", modules.NOTES)
def test_what_is_noted_moves(name):
    assert modules.home(name) is not None


def test_each_signal_that_is_never_sent_is_noted():
    never = {name: fact for name, fact in modules.NOTES.items() if "never sent" in fact.says}
    noted = {name.rpartition(".")[2] for name in never}
    assert noted == {signal.name for signal in signals_of_celery.NEVER}


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("option", names(uses.DECORATOR, Verdict.IDLE))
def test_the_decorator_passes_over_what_is_idle(option):
    shared_task(name="facts", **{option: "x"})(function)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("option", names(uses.DECORATOR, Verdict.REWRITE))
def test_the_decorator_refuses_what_must_be_rewritten(option):
    with pytest.raises(TypeError, match=option):
        shared_task(name="facts", **{option: "x"})(function)


@pytest.mark.usefixtures("registered")
def test_the_decorator_keeps_what_nobody_knows():
    assert uses.unknown_option("of_nobody").verdict is Verdict.IDLE
    assert shared_task(name="facts", of_nobody=3)(function).of_nobody == 3


@pytest.mark.django_db
@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("option", names(uses.CALL, Verdict.IDLE))
def test_a_call_passes_over_what_is_idle(option):
    shared_task(name="facts")(function).apply_async(**{option: True})


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("option", [*names(uses.CALL, Verdict.REWRITE), "of_nobody"])
def test_a_call_refuses_what_must_be_rewritten(option):
    with pytest.raises(TypeError, match=option):
        shared_task(name="facts")(function).apply_async(**{option: "x"})


def test_the_request_has_what_moves():
    request = Request(pk=None, name="facts", queue="default")
    assert [name for name in names(uses.REQUEST, *TAKEN) if not hasattr(request, name)] == []
    lacking = names(uses.REQUEST, Verdict.REWRITE)
    assert [name for name in lacking if getattr(request, name, None) is not None] == []


@pytest.mark.usefixtures("registered")
def test_a_task_has_what_moves():
    task = shared_task(name="facts")(function)
    assert [name for name in names(uses.TASK, *TAKEN) if not hasattr(task, name)] == []


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", names(uses.TASK, Verdict.REWRITE))
def test_a_task_lacks_what_must_be_rewritten(name):
    assert not hasattr(shared_task(name="facts")(function), name)


def test_an_app_has_what_moves_and_lacks_the_rest():
    app = Celery("facts", set_as_current=False)
    assert [name for name in names(uses.APP, *TAKEN) if not hasattr(app, name)] == []
    assert [name for name in names(uses.APP, Verdict.REWRITE) if hasattr(app, name)] == []
    control = app.control
    assert [name for name in names(uses.CONTROL, *TAKEN) if not hasattr(control, name)] == []
    assert [name for name in names(uses.CONTROL, Verdict.REWRITE) if hasattr(control, name)] == []


def test_a_result_has_what_moves_and_lacks_the_rest():
    result = AsyncResult("a text of the caller")
    assert [name for name in names(uses.RESULT, *TAKEN) if not hasattr(AsyncResult, name)] == []
    assert [name for name in names(uses.RESULT, Verdict.REWRITE) if hasattr(result, name)] == []


def test_settings_that_count_are_those_that_are_read():
    taken = {*names(settings.SETTINGS, Verdict.MOVES), "task_default_priority"} - {"timezone"}
    assert taken == setting_names.HONORED


@pytest.mark.parametrize("name", sorted(setting_names.AS_EVER))
def test_settings_that_hold_anyway_are_idle(name):
    fact = settings.fact_of(name)
    assert fact is not None
    assert fact.verdict is Verdict.IDLE
