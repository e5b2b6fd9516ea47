"""``taskq_run`` and ``taskq_retry``: sent by hand, retried by hand."""

from __future__ import annotations

import datetime
import io
import json
import uuid

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone

from taskq import lookup
from taskq.models import State, Task
from taskq.testing import assert_enqueued
from tests.project.lab import tasks

pytestmark = pytest.mark.django_db

QUICK = "tests.project.lab.tasks.quick"
HOUR = datetime.timedelta(hours=1)


def run(*words):
    """What taskq_run prints."""
    out = io.StringIO()
    call_command("taskq_run", *words, stdout=out)
    return out.getvalue()


def retry(*words):
    """The exit code, and what taskq_retry says."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("taskq_retry", *words, stdout=out, stderr=err)
    except SystemExit as leaving:
        return leaving.code, err.getvalue()
    return 0, out.getvalue()


@pytest.mark.parametrize(
    ("word", "value"),
    [("42", 42), ("Sunset", "Sunset"), ('"007"', "007"), ("[1,2]", [1, 2]), ("a b", "a b")],
)
def test_run_sends_arguments_as_json_or_text(word, value):
    assert_enqueued(QUICK, times=0)
    said = run(QUICK, word)
    (sent,) = assert_enqueued(QUICK, args=[value], kwargs={})
    assert said == f"{uuid.UUID(int=sent.id)}\n"
    run(QUICK, f"key={word}")
    assert_enqueued(QUICK, args=[], kwargs={"key": value}, times=1)


def test_run_sends_it_where_and_when_it_is_told():
    run(QUICK, "a", "--queue", "mail", "--priority", "7", "--countdown", "60", "--expires", "90")
    (sent,) = assert_enqueued(QUICK, queue="mail")
    assert sent.priority == 7
    assert 30 < (sent.due - timezone.now()).total_seconds() <= 60
    assert 60 < (sent.expires - timezone.now()).total_seconds() <= 90
    run(QUICK, "b", "--eta", "2040-05-01T12:00")
    assert assert_enqueued(QUICK, args=["b"])[0].due.isoformat() == "2040-05-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a task, or see which there are by --list"),
        (("tests.project.lab.tasks.quik",), "did you mean tests.project.lab.tasks.quick"),
        ((QUICK,), "missing a required argument: 'key'"),
        ((QUICK, "1", "2"), "too many positional arguments"),
        ((QUICK, "a", "b=1"), "unexpected keyword argument 'b'"),
        ((QUICK, "key=1", "2"), "'2' has no name and comes after some that have"),
        ((QUICK, "a", "--priority", "101"), "priority is 101"),
        ((QUICK, "a", "--queue", "a,b"), "queue is 'a,b'"),
        ((QUICK, "a", "--wait", "1"), "keeps no result"),
        ((QUICK, "a", "--database", "elsewhere"), "no such alias"),
    ],
)
def test_run_refuses_what_could_not_run(words, said):
    with pytest.raises(CommandError, match=said.replace("(", r"\(")):
        run(*words)
    assert not Task.objects.exists()


def test_run_knows_that_a_bound_task_gets_itself():
    run("tests.project.lab.tasks.retry_until", "a", "3")
    assert_enqueued(tasks.retry_until, args=["a", 3])


def test_run_lists_the_names():
    assert QUICK in run("--list").splitlines()


def test_run_waits_for_the_result(start_pool):
    start_pool("-c", 1)
    _, value = run("tests.project.lab.tasks.add", "1", "2", "--wait", "60").splitlines()
    assert json.loads(value) == 3
    with pytest.raises(CommandError, match="it failed: TypeError"):
        run("tests.project.lab.tasks.add", "1", "x", "--wait", "60")


def test_run_waits_no_longer_than_it_was_told():
    with pytest.raises(CommandError, match=r"is not done after 0.05 s"):
        run("tests.project.lab.tasks.add", "1", "2", "--wait", "0.05")
    assert_enqueued("tests.project.lab.tasks.add")


def test_run_sends_tasks_of_djangos_own():
    if not apps.is_installed("tests.project.native"):
        pytest.skip("neither django.tasks (Django 6.0) nor django-tasks is installed")
    run("tests.project.native.tasks.send", "5", "--countdown", "60")
    (sent,) = assert_enqueued("tests.project.native.tasks.send", args=[5], queue="mail")
    assert sent.priority == 7
    assert 30 < (sent.due - timezone.now()).total_seconds() <= 60
    run("tests.project.native.tasks.tell", "a", "--queue", "mail", "--priority", "-3")
    (sent,) = assert_enqueued("tests.project.native.tasks.tell", queue="mail")
    assert sent.priority == -3
    with pytest.raises(CommandError, match="--expires: Django's tasks do not know it"):
        run("tests.project.native.tasks.tell", "a", "--expires", "5")
    with pytest.raises(CommandError, match="nowhere"):
        run("tests.project.native.tasks.tell", "a", "--queue", "nowhere")


# Retries


def failed(**fields):
    return Task.objects.create(
        **{"name": QUICK, "state": State.FAILED, "failed_at": Now(), "retries": 3, **fields}
    )


def test_retry_of_named_tasks():
    one, other, left = failed(), failed(), failed()
    assert retry(str(one.pk), str(other.uuid)) == (0, "2 tasks will run again\n")
    assert set(Task.objects.pending()) == {one, other}
    assert Task.objects.failed().get() == left
    assert Task.objects.get(pk=one.pk).retries == 0


def test_retry_of_all_that_failed():
    failed(name="a", queue="x")
    failed(name="a", queue="y")
    failed(name="b", queue="x")
    waits = Task.objects.create(name="a", queue="x", attempt=1, execute_at=Now() + HOUR)
    assert retry("--failed", "--name", "a", "--queue", "x") == (0, "1 task will run again\n")
    assert retry("--failed", "--name", "a") == (0, "1 task will run again\n")
    assert Task.objects.future().get() == waits  # it did not fail
    assert retry("--failed") == (0, "1 task will run again\n")


def test_what_has_a_rival_for_its_unique_key_is_said():
    key = {"name": "a", "unique_key": "k", "unique_until": "finish", "unique_place": 0}
    failed = Task.objects.create(**key, state=State.FAILED, failed_at=timezone.now())
    Task.objects.create(**key)
    left = "1 task left alone: another has the same unique key\n"
    assert retry(str(failed.pk)) == (3, left)
    Task.objects.create(name="b", state=State.FAILED, failed_at=timezone.now())
    assert retry("--failed") == (0, "1 task will run again\n")


def test_retry_of_many_takes_some_at_a_time(monkeypatch):
    from taskq.management.commands import taskq_retry

    slept = []
    monkeypatch.setattr(taskq_retry.time, "sleep", slept.append)
    many = [Task(name="a", state=State.FAILED, attempt=1, failed_at=Now()) for _ in range(25)]
    Task.objects.bulk_create(many)
    assert retry("--failed", "--per-second", "10") == (0, "25 tasks will run again\n")
    assert slept == [1.0, 1.0]
    Task.objects.update(state=State.FAILED, failed_at=Now())
    monkeypatch.setattr(taskq_retry, "STEP", 5)
    assert retry("--failed", "--per-second", "10") == (0, "25 tasks will run again\n")
    assert slept[2:] == [0.5] * 4
    # Without a pace it waits for nothing. Of those with one key, the last is retried.
    Task.objects.update(state=State.FAILED, failed_at=Now(), unique_key="k")
    assert retry("--failed") == (0, "1 task will run again\n")
    assert Task.objects.failed().order_by("pk").last() != Task.objects.latest("pk")
    assert len(slept) == 6


@pytest.mark.parametrize("words", [("--failed", "--per-second", "0"), ("7", "--per-second", "5")])
def test_a_pace_makes_sense_for_many_alone(words):
    with pytest.raises(CommandError, match="give a number from 1, and --failed"):
        retry(*words)


def test_nothing_to_retry_has_a_code_of_its_own():
    ready = Task.objects.create(name="a")
    for words in (["--failed"], [str(ready.pk)], [str(uuid.UUID(int=2**100))]):
        assert retry(*words) == (
            3,
            "nothing to retry: no such task failed, is lost or waits for a retry\n",
        )


@pytest.mark.parametrize("words", [[], ["1", "--failed"], ["--name", "a"]])
def test_retry_has_to_be_told_which(words):
    with pytest.raises(CommandError, match="say which tasks"):
        retry(*words)


def test_retry_refuses_what_is_no_id():
    with pytest.raises(CommandError, match="'x' is no task id: give its number, or the UUID"):
        retry("x")


def test_a_task_in_a_state_of_another_version_is_left_alone_until_it_is_discarded(capsys):
    """It is shown as one that waits, and nobody ends it by a mistake."""
    sent = tasks.add.delay(1, 2)
    Task.objects.update(state=7)
    assert (sent.status, sent.ready(), sent.result, sent.info) == ("PENDING", False, None, None)
    assert (sent.args, sent.worker) == ([1, 2], None)
    with pytest.raises(TimeoutError, match="is not done"):
        sent.get(timeout=0.01)
    assert lookup.look_up(sent.id.int).state is State.READY
    assert not sent.cancel()
    assert not sent.revoke()
    assert retry(str(sent.id)) == (
        3,
        "nothing to retry: no such task failed, is lost or waits for a retry\n",
    )
    with pytest.raises(SystemExit):
        call_command("taskq_status")
    assert "no tasks" in capsys.readouterr().out
    assert Task.objects.get().state == 7
    assert Task.objects.filter(pk=sent.id.int).discard() == 1
