"""What is said of a task that does not wait: a real row for each."""

from __future__ import annotations

import datetime
import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone

from taskq.models import RecentRun, Result, State, Task, Worker
from taskq.task.measures import End
from taskq.why import Code, why

pytestmark = pytest.mark.django_db

HOUR, MINUTE = datetime.timedelta(hours=1), datetime.timedelta(minutes=1)


def worker(lease=HOUR):
    return Worker.objects.create(
        name="worker 1", pool="web:7", host="web", pid=1, lease_expires_at=Now() + lease
    )


def running(worker, **fields):
    given = {"name": "lab.x", "attempt": 1, "started_at": Now() - MINUTE, **fields}
    return Task.objects.create(state=State.RUNNING, worker=worker, **given)


def failed(**fields):
    given = {"name": "lab.x", "attempt": 1, "failed_at": Now() - MINUTE, **fields}
    return Task.objects.create(state=State.FAILED, **given)


def recent(id, end):
    RecentRun.objects.create(
        task_id=id,
        attempt=1,
        name="lab.x",
        queue="default",
        pool="web:7",
        worker="worker 1",
        started_at=timezone.now() - HOUR,
        seconds=1.5,
        wait=0.1,
        end=end,
    )


def only(id):
    (reason,) = why(id)
    return reason


def test_it_runs():
    one = running(worker(), progress=json.dumps({"attempt": 1, "text": "half"}))
    reason = only(one.pk)
    assert reason.code is Code.RUNNING
    assert reason.text.startswith("It runs: worker 1 of web:7 claimed it 1 min ago, at 20")
    assert f"taskq_cancel {one.pk}" in reason.advice


def test_it_is_claimed_and_another_comes_first():
    holder = worker()
    first = running(holder, started_at=Now() - HOUR)
    second = running(holder)
    assert only(first.pk).code is Code.RUNNING
    reason = only(second.pk)
    assert reason.code is Code.CLAIMED
    assert f"together with lab.x #{first.pk}, which comes first" in reason.text
    assert reason.tasks == (first.pk,)


def test_it_was_asked_to_end():
    one = running(worker(), cancelled_at=Now() - MINUTE)
    assert [reason.code for reason in why(one.pk)] == [Code.RUNNING, Code.ASKED_TO_END]


def test_it_is_lost():
    one = running(worker(-HOUR))
    assert only(one.pk).text == (
        "It is lost: the lease of worker 1 of web:7 ended 1 h ago. No pool runs that could "
        "reclaim it."
    )
    assert "taskq_pool" in only(one.pk).advice
    two = running(None)
    worker()
    assert only(two.pk).code is Code.LOST
    assert only(two.pk).text == (
        "It is lost: the row of its worker is gone. A pool that runs will reclaim it."
    )


def test_it_failed():
    one = failed(error="ValueError: no\nsecond", retries=3, losses=1, traceback="long")
    reason = only(one.pk)
    assert reason.code is Code.FAILED
    assert reason.text.startswith("It failed 1 min ago, at 20")
    assert reason.text.endswith(" after 3 retries and 1 loss: ValueError: no.")
    assert f"taskq_retry {one.pk}" in reason.advice


def test_it_was_cancelled():
    one = failed(cancelled_at=Now(), error="cancelled")
    assert only(one.pk).code is Code.CANCELLED


def test_another_holds_its_key():
    one = failed(unique_key="k", unique_place=0)
    assert only(one.pk).code is Code.FAILED
    other = Task.objects.create(name="lab.x", unique_key="k", unique_place=0)
    Task.objects.create(name="lab.y", unique_key="k", unique_place=0)
    assert [reason.code for reason in why(one.pk)] == [Code.FAILED, Code.KEY_HELD]
    assert why(one.pk)[1].tasks == (other.pk,)
    assert not Task.objects.filter(pk=one.pk).retry()


def test_it_is_done_and_its_result_is_kept():
    Result.objects.create(
        id=5,
        name="lab.x",
        payload="[[],{}]",
        queue="default",
        priority=0,
        created_at=Now(),
        started_at=Now(),
        finished_at=Now() - MINUTE,
        worker="web:7/worker 1/4",
        value="1",
    )
    reason = only(5)
    assert reason.code is Code.DONE
    assert "web:7/worker 1/4 ended it 1 min ago" in reason.text


def test_it_is_done_and_a_recent_run_is_known():
    recent(5, End.RETRIED)
    assert only(5).code is Code.GONE
    assert "That run ended as: retried." in only(5).text
    recent(5, End.DONE)
    assert only(5).code is Code.DONE
    assert "worker 1 of web:7 started it 1 h ago, for 1.5 s." in only(5).text


def test_nothing_is_known_of_it():
    assert only(5).code is Code.GONE
    assert only("ffffffff-ffff-ffff-ffff-ffffffffffff").code is Code.GONE


def run(*words):
    """The exit code, and what taskq_why says."""
    out = io.StringIO()
    try:
        call_command("taskq_why", *words, stdout=out)
    except SystemExit as leaving:
        return leaving.code, out.getvalue()
    return 0, out.getvalue()


def test_the_command_says_it_to_people_and_to_programs():
    one = failed(error="ValueError: no")
    code, text = run(str(one.uuid))
    assert code == 0
    assert text.endswith(
        f": ValueError: no.\n    To run it again: manage.py taskq_retry {one.pk}.\n"
    )
    code, text = run(f"#{one.pk}", "--json")
    (reason,) = json.loads(text)
    assert reason.keys() == {"code", "text", "advice", "until", "tasks"}
    assert reason["code"] == "failed"
    assert run("4")[0] == 3
    with pytest.raises(CommandError, match="'mail' is no task id"):
        run("mail")
