"""The pages for those who write tasks: their code runs, and does what they say."""

from __future__ import annotations

import datetime
import sys
import types
from collections.abc import Callable, Iterator

import django
import pytest
from django.utils import timezone

from taskq.celery import NoResult, TaskFailed
from taskq.models import Task
from taskq.task import registry
from taskq.testing import run_all
from tests.docs.pages import blocks

Run = Callable[..., types.ModuleType]


@pytest.fixture
def run_page(registered, monkeypatch) -> Iterator[Run]:
    """Runs all Python of a page as one module, in which these names are defined before."""

    def run(page: str, **names: object) -> types.ModuleType:
        module = types.ModuleType(f"{page}_page")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        vars(module).update(names)
        for code in blocks(f"how-to/{page}.md", "python"):
            exec(compile(code, page, "exec"), vars(module))
        return module

    return run


def tomorrow() -> datetime.datetime:
    return timezone.now() + datetime.timedelta(days=1)


@pytest.mark.django_db
def test_what_the_page_on_sending_sends_is_sent(run_page):
    run_page("send", tomorrow=tomorrow())
    receipts = Task.objects.filter(name="send_page.send_receipt")
    # One of six calls, one of three and one of a thousand are revoked.
    assert receipts.count() == 5 + 2 + 1_000
    assert receipts.filter(queue="mail", priority=10).count() == 1
    assert registry.find("send_page.notify") is not None


@pytest.mark.django_db
def test_the_tasks_of_the_page_on_failures_fail_as_it_says(run_page):
    asked = []

    def download(url):
        asked.append(url)
        raise TimeoutError(url)

    def compute(month):
        raise page.SoftTimeLimitExceeded

    cleaned: list[str] = []
    page = run_page("failures", download=download, compute=compute, clean_up=cleaned.append)
    page.fetch.delay("a")
    report = run_all(forward=None, propagate=False)
    assert [run.outcome for run in report] == ["retried"] * 5 + ["failed"]
    assert asked == ["a"] * 6
    page.make_report.delay("May")
    (run,) = run_all(propagate=False)
    assert (run.outcome, cleaned) == ("failed", ["May"])


@pytest.mark.django_db
def test_the_page_on_results_says_what_there_is(run_page):
    page = run_page("results")
    assert page.later.status == "PENDING"
    run_all()
    assert page.later.get(timeout=5) == {"shelves": 12}
    assert page.later == page.result

    @page.shared_task(name="results.fails", ignore_result=False)
    def fails():
        raise ValueError

    @page.shared_task(name="results.forgets")
    def forgets(): ...

    failing, forgotten = fails.delay(), forgets.delay()
    with pytest.raises(TimeoutError):
        failing.get(timeout=0.01)
    run_all(propagate=False)
    with pytest.raises(TaskFailed):
        failing.get(timeout=5)
    with pytest.raises(NoResult):
        forgotten.get(timeout=5)


@pytest.mark.django_db
def test_the_page_on_djangos_tasks_runs(run_page, monkeypatch):
    if django.VERSION < (6, 0):
        backport = pytest.importorskip("django_tasks", reason="the backport is not installed")
        monkeypatch.setitem(sys.modules, "django.tasks", backport)
    page = run_page("django-tasks", tomorrow=tomorrow())
    assert page.TASKS["default"]["BACKEND"] == "taskq.backend.TaskqBackend"
    assert Task.objects.filter(name="django-tasks_page.resize", priority=5).count() == 2
    run_all()
    page.result.refresh()
    assert page.result.return_value == {"width": 640}
