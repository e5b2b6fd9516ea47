"""A run of a task of Django's asks the database nothing, and tells only whom there is."""

from __future__ import annotations

import datetime
import logging

import pytest
from django.db import connection
from django.utils import timezone

from tests.taskq.djangos_tasks import native  # first: there may be none

# isort: split
from taskq import shortcuts
from taskq.django import listeners, results
from taskq.django.compat import signals, task_finished, task_started
from taskq.models import Result, Task
from tests.taskq.stepping import stepwise, told


@pytest.fixture(autouse=True)
def unheard():
    """Nobody hears of runs but Django's log, which does not write."""
    pairs = (task_started, native.note_started), (task_finished, native.note_finished)
    for signal, receiver in pairs:
        assert signal.disconnect(receiver)
    level = listeners._LOGGER.level
    listeners._LOGGER.setLevel(logging.CRITICAL)
    yield
    listeners._LOGGER.setLevel(level)
    for signal, receiver in pairs:
        signal.connect(receiver)


@pytest.fixture
def stepper(worker, monkeypatch):
    names = (task.module_path for task in (native.add, native.tell, native.fail))
    with stepwise(worker.id, monkeypatch, *names) as one:
        yield one


@pytest.fixture
def made(monkeypatch):
    """The names of the tasks of which a TaskResult was made."""
    found = []
    task_result = results.task_result

    def watched(known, *args):
        found.append(known.name)
        return task_result(known, *args)

    monkeypatch.setattr(results, "task_result", watched)
    return found


def test_a_run_that_nobody_hears_of_makes_no_task_result(stepper, made, django_assert_num_queries):
    sent = [native.add.enqueue(n, 1) for n in range(3)]
    with django_assert_num_queries(0):  # on Django's connection
        for _ in sent:
            stepper.step()
    stepper.step()
    assert not made
    assert Result.objects.count() == 3


def test_the_log_hears_where_its_level_is_on(stepper, made, caplog):
    listeners._LOGGER.setLevel(logging.INFO)
    with caplog.at_level(logging.INFO, listeners._LOGGER.name):
        native.add.enqueue(1, 2)
        stepper.step()
    assert made == [native.add.module_path]
    states = [each.getMessage() for each in caplog.records if each.name == listeners._LOGGER.name]
    assert [text.rpartition("state=")[2] for text in states[-2:]] == ["RUNNING", "SUCCESSFUL"]


def test_the_log_hears_of_a_failure_where_only_errors_are_logged(stepper, made, caplog):
    with caplog.at_level(logging.ERROR, listeners._LOGGER.name):
        native.add.enqueue(1, 2)
        native.fail.enqueue("a")
        stepper.step()
        stepper.step()
    assert made == [native.fail.module_path]
    (record,) = [each for each in caplog.records if each.name == listeners._LOGGER.name]
    assert record.exc_info is not None


def test_a_receiver_of_the_end_finds_it_written(stepper):
    with told(task_finished, lambda fields: fields["task_result"].id) as found:
        native.add.enqueue(1, 2)
        native.add.enqueue(1, 2)
        stepper.step()
        stepper.step()
    assert found == [True, True]


def test_a_context_has_what_the_claim_knows(stepper, monkeypatch, django_assert_num_queries):
    """All that a look at the row would show."""
    seen = []
    monkeypatch.setattr(results, "TaskqContext", lambda task_result: seen.append(task_result))
    past = timezone.now() - datetime.timedelta(seconds=5)
    sent = native.tell.using(priority=7, run_after=past, queue_name="default").enqueue("a")
    Task.objects.update(
        history='{"worker": "w", "error": "builtins.ValueError", "traceback": "T", '
        '"started_at": "2026-01-02T03:04:05+00:00"}',
        retries=1,
        attempt=1,
    )
    row = Task.objects.get()
    with django_assert_num_queries(0):
        stepper.step()
    (found,) = seen
    assert (found.id, found.enqueued_at, found.args) == (sent.id, row.created_at, ["a"])
    assert (found.task.priority, found.task.run_after) == (7, past)
    assert (found.status, found.attempts) == ("RUNNING", 2)
    assert [each.exception_class_path for each in found.errors] == ["builtins.ValueError"]
    assert found.started_at == datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert found.last_attempted_at >= row.created_at
    assert found.worker_ids == ["w", f"{stepper.context.pool}/worker 1/{stepper.batch.lease}"]


@pytest.mark.postgresql
def test_a_time_that_no_datetime_holds_harms_no_run(stepper, made):
    native.tell.enqueue("a")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE taskq_task SET created_at = 'infinity'")
    stepper.step()
    assert made == [native.tell.module_path]


def test_without_the_shortcut_the_log_counts_as_a_listener(monkeypatch):
    monkeypatch.setattr(shortcuts, "receivers_of", lambda: None)
    assert listeners.others_hear(task_finished) == bool(task_finished.receivers)
    assert signals.task_finished is task_finished
