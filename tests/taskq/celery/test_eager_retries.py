"""CELERY_TASK_ALWAYS_EAGER: retries run in the caller too."""

from __future__ import annotations

import pytest

from taskq.celery import MaxRetriesExceededError, Retry, eager, shared_task

pytestmark = pytest.mark.usefixtures("sent_eagerly")


class Boom(Exception):
    pass


def flaky(failures, **options):
    """A task that fails so often before it succeeds, and the list of its runs."""
    runs = []

    @shared_task(bind=True, **options)
    def work(self):
        runs.append(self.request.retries)
        if len(runs) <= failures:
            raise Boom(len(runs))
        return "done"

    return work, runs


def test_automatic_retries_run_at_once():
    work, runs = flaky(2, autoretry_for=(Boom,))
    assert work.delay().get() == "done"
    assert runs == [0, 1, 2]


def test_automatic_retries_end():
    work, runs = flaky(9, autoretry_for=(Boom,))
    result = work.delay()
    assert result.failed()
    assert isinstance(result.result, Boom)
    assert runs == [0, 1, 2, 3]


def test_last_error_is_raised_when_the_second_setting_says_so(propagates):
    work, runs = flaky(9, autoretry_for=(Boom,), max_retries=1)
    with pytest.raises(Boom, match="2"):
        work.delay()
    assert runs == [0, 1]


def test_retries_run_when_the_second_setting_says_so(propagates):
    work, runs = flaky(2, autoretry_for=(Boom,))
    assert work.delay().get() == "done"
    assert runs == [0, 1, 2]


def test_retries_by_hand_run_at_once_whatever_their_delay():
    runs = []

    @shared_task(bind=True)
    def work(self):
        runs.append(self.request.retries)
        if self.request.retries < 2:
            raise self.retry(countdown=3600)
        return "done"

    assert work.delay().get() == "done"
    assert runs == [0, 1, 2]


def test_retries_by_hand_end():
    @shared_task(bind=True, max_retries=2)
    def work(self):
        self.retry()

    assert isinstance(work.delay().result, MaxRetriesExceededError)


def test_arguments_of_each_retry_are_fresh():
    @shared_task(bind=True)
    def work(self, items):
        items.append(1)
        if self.request.retries < 2:
            self.retry()
        return items

    assert work.delay([]).get() == [1]


@pytest.mark.parametrize("options", [{"autoretry_for": (Boom,)}, {}])
def test_retries_without_a_limit_end_as_celerys_recursion_does(monkeypatch, options):
    monkeypatch.setattr(eager, "MAX_RETRIES", 20)
    runs = []

    @shared_task(bind=True, max_retries=None, **options)
    def work(self):
        runs.append(1)
        if options:
            raise Boom
        self.retry()

    result = work.delay()
    assert isinstance(result.result, Boom if options else Retry)
    assert len(runs) == 21
