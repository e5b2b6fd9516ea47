"""What a task is sent in, it is run in again: ``TASKQ["CONTEXT"]``."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation

from taskq.models import Task
from taskq.testing import run_all
from tests.project.lab import language, tasks

pytestmark = pytest.mark.django_db(transaction=True)

BOTH = [tasks.language, tasks.language_of_a_coroutine]


@pytest.fixture
def with_language(settings):
    settings.TASKQ = {"CONTEXT": {"language": "tests.project.lab.language"}}


@pytest.mark.usefixtures("with_language")
@pytest.mark.parametrize("task", BOTH)
def test_a_task_runs_in_what_it_was_sent_in(task):
    with translation.override("de"):
        one = task.delay()
        task.delay_many([()])
    other = task.delay()
    run_all()
    assert (one.get(), other.get()) == ("de", translation.get_language())
    assert translation.get_language() != "de"


@pytest.mark.usefixtures("with_language")
def test_a_header_that_is_given_counts():
    result = tasks.language.apply_async(headers={"language": "fr", "other": 1})
    run_all()
    assert result.get() == "fr"


@pytest.mark.usefixtures("with_language")
def test_where_there_is_nothing_to_carry_no_header_is_sent(monkeypatch):
    monkeypatch.setattr(language, "capture", lambda: None)
    tasks.language.delay()
    assert Task.objects.get().payload == "[[],{}]"


def test_a_task_that_was_sent_before_the_setting_runs_as_ever(settings):
    result = tasks.language.delay()
    settings.TASKQ = {"CONTEXT": {"language": "tests.project.lab.language"}}
    run_all()
    assert result.get() == translation.get_language()


@pytest.mark.parametrize(
    ("path", "why"),
    [("tests.nowhere", "cannot be imported"), ("tests.project.lab.tasks", "no function")],
)
def test_what_is_no_context_is_an_error_that_names_it(settings, path, why):
    settings.TASKQ = {"CONTEXT": {"language": path}}
    with pytest.raises(ImproperlyConfigured, match=f"CONTEXT.*{path}.*{why}"):
        tasks.language.delay()


@pytest.mark.parametrize("given", ["language", {"language": language}, {"": "a"}])
def test_a_setting_of_another_form_is_refused(settings, given):
    settings.TASKQ = {"CONTEXT": given}
    with pytest.raises(ImproperlyConfigured, match="give a dict of modules by header"):
        tasks.language.delay()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no.such.module", "cannot be imported: No module named 'no'"),
        ("context_that_raises", "cannot be imported: division by zero"),
        ("json", "has no function capture(): write one"),
    ],
)
def test_a_context_that_cannot_be_used_is_an_error_of_the_checks(
    settings, tmp_path, monkeypatch, path, said
):
    (tmp_path / "context_that_raises.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    settings.TASKQ = {"CONTEXT": {"x": path}}
    (error,) = [each for each in run_checks() if each.id == "taskq.E012"]
    assert error.msg.startswith(f"TASKQ['CONTEXT'] names {path!r}, which {said}")
