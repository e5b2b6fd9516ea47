"""What arrives at Sentry. Its integrations change Django and the log, so most of it is tried in
pools, and none of them is set up here."""

from __future__ import annotations

import datetime
import json
import os

import pytest

pytest.importorskip("sentry_sdk", reason="the SDK of Sentry is not installed")

import sentry_sdk
from sentry_sdk.transport import Transport

from stress.rig.pools import wait_until
from taskq.celery import shared_task
from taskq.contrib import sentry
from taskq.contrib.sentry import TaskqIntegration
from taskq.models import Task
from taskq.testing import run_all
from tests.docs.pages import block
from tests.project.lab import secrets, speaking, tasks

NOON = datetime.datetime(2026, 3, 5, 12, tzinfo=datetime.UTC)


class Items(Transport):
    def __init__(self, options):
        super().__init__(options)
        self.found = []

    def capture_envelope(self, envelope):
        self.found += [{"type": item.type, **item.payload.json} for item in envelope.items]


#: The others would change Django and the log for all tests of this process.
NO_OTHERS = {"default_integrations": False, "auto_enabling_integrations": False, "release": "1"}


@pytest.fixture
def items(no_receivers):
    sentry._entries.cache_clear()
    init(integrations=[TaskqIntegration(check_ins=True)])
    TaskqIntegration.setup_once()  # the SDK does so once in a process; no_receivers undoes it
    yield sentry_sdk.get_client().transport.found
    sentry_sdk.init(**NO_OTHERS)
    sentry._entries.cache_clear()


def init(**options):
    sentry_sdk.init(dsn="https://key@sentry.example.org/1", transport=Items, **NO_OTHERS, **options)


def scheduled(name, **options):
    """A task that is sent for a tick."""

    def decorate(function):
        task = shared_task(name=name, **options)(function)
        Task.objects.create(name=name, scheduled_at=NOON)
        return task

    return decorate


@pytest.mark.django_db
def test_a_failed_task_is_an_event_with_its_tags_and_a_fingerprint(items):
    id = tasks.fail.apply_async(("a",), queue="mail").id
    run_all(propagate=False)
    (event,) = items
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "no good")
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    assert error["mechanism"] == {"type": "taskq", "handled": False}
    assert event["tags"] == {
        "taskq.task": tasks.fail.name,
        "taskq.task_id": str(id.int),
        "taskq.queue": "mail",
    }
    assert event["fingerprint"] == ["{{ default }}", tasks.fail.name]
    assert event["transaction"] == tasks.fail.name
    assert event["contexts"]["taskq"].items() >= {"id": str(id), "attempt": 1}.items()


@pytest.mark.django_db
def test_what_a_run_tells_sentry_belongs_to_that_run(items, registered):
    @shared_task(name="tells")
    def tells(word):
        sentry_sdk.set_tag("word", word)
        sentry_sdk.add_breadcrumb(message=f"crumb {word}")
        raise ValueError(word)

    sentry_sdk.add_breadcrumb(message="before")
    tells.delay("a")
    tells.delay("b")
    tasks.fail.delay("c")
    run_all(propagate=False)
    sentry_sdk.capture_message("after")
    first, second, third, after = items
    for event, word in ((first, "a"), (second, "b")):
        assert event["tags"]["word"] == word
        assert [each["message"] for each in event["breadcrumbs"]["values"]] == [f"crumb {word}"]
    for event in (third, after):
        assert "word" not in event.get("tags", {})
    assert not third.get("breadcrumbs", {}).get("values")
    assert [each["message"] for each in after["breadcrumbs"]["values"]] == ["before"]
    assert "taskq.task" not in after.get("tags", {})


@pytest.mark.django_db
def test_a_retry_is_no_event(items, registered):
    @shared_task(name="again", bind=True)
    def again(self):
        raise self.retry(exc=KeyError("a"), countdown=60)

    again.delay()
    run_all()
    assert items == []


@pytest.mark.django_db
def test_sensitive_arguments_are_in_no_event(items):
    secrets.pay.delay(7, "hunter2", card={"number": "41111111"})
    run_all(propagate=False)
    (event,) = items
    text = json.dumps(event)
    assert "hunter2" not in text
    assert "41111111" not in text
    (error,) = event["exception"]["values"]
    assert error["type"] == "ValueError"
    assert error["value"] == "order 7: ******** refused, token ********"
    assert "KeyError: ********" in event["extra"]["traceback"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("schedule", "config"),
    [
        ("0 12 * * *", {"schedule": {"type": "crontab", "value": "0 12 * * *"}, "timezone": "UTC"}),
        ("every 7200 s", {"schedule": {"type": "interval", "value": 120, "unit": "minute"}}),
    ],
)
def test_a_periodic_run_checks_in_with_its_times(items, registered, schedule, config):
    scheduled("Shop.tasks.report", schedule=schedule)(lambda: None)
    run_all()
    began, ended = items
    assert began["type"] == ended["type"] == "check_in"
    assert began["monitor_slug"] == "shop-tasks-report"
    assert (began["status"], ended["status"]) == ("in_progress", "ok")
    assert began["check_in_id"] == ended["check_in_id"]
    assert began["monitor_config"] == ended["monitor_config"] == config
    assert ended["duration"] >= 0


@pytest.mark.django_db
def test_all_attempts_of_a_tick_are_one_check_in(items, registered):
    def again(self):
        if not self.request.retries:
            raise self.retry(countdown=0)
        raise ValueError

    scheduled("a", schedule="0 12 * * *", bind=True)(again)
    run_all(propagate=False)
    said = [each for each in items if each["type"] == "check_in"]
    assert [each["status"] for each in said] == ["in_progress", "in_progress", "error"]
    assert len({each["check_in_id"] for each in said}) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("schedule", ["every 90 s", "0 13 * * *", None])
def test_what_sentry_knows_no_times_of_does_not_check_in(items, registered, schedule):
    """Seconds, the tick of another schedule, and of one that is no longer in the code."""
    scheduled("a", schedule=schedule)(lambda: None)
    run_all()
    assert items == []


@pytest.mark.django_db
def test_a_task_of_two_schedules_checks_in_for_the_one_whose_tick_it_is(
    items, registered, settings
):
    scheduled("a")(lambda: None)
    settings.TASKQ = {
        "SCHEDULE": {
            "at one": {"task": "a", "schedule": "0 13 * * *"},
            "at noon": {"task": "a", "schedule": "0 12 * * *"},
        }
    }
    run_all()
    assert {each["monitor_slug"] for each in items} == {"at-noon"}


@pytest.mark.django_db
def test_without_the_integration_the_receivers_do_nothing(items):
    init()
    tasks.fail.delay("a")
    run_all(propagate=False)
    assert sentry_sdk.get_client().transport.found == items == []


@pytest.mark.django_db(transaction=True)
def test_a_pools_failures_and_losses_arrive(start_pool, tmp_path):
    """By the settings of the page, with Sentry's own integrations for Django and the log."""
    (tmp_path / "sentry_settings.py").write_text(
        "from tests.project.settings import *\nimport tests.project.lab.sentry_lines\n"
        + block("how-to/sentry.md", "python")
    )
    items = tmp_path / "items"
    pool = start_pool(
        *("-c", 1),
        DJANGO_SETTINGS_MODULE="sentry_settings",
        PYTHONPATH=f"{tmp_path}{os.pathsep}{os.getcwd()}",
        TASKQ_TEST_SENTRY=str(items),
        TASKQ_MAX_LOSSES="1",
    )
    failed = speaking.speak_and_fail.delay("word").id.int
    secrets.pay.delay(7, "hunter2")
    lost = tasks.kill_self.delay("k", 9).id.int
    wait_until(lambda: Task.objects.failed().count() == 3, what="all three have failed")

    def events():
        whole, _, _ = items.read_text().rpartition("\n") if items.exists() else ("", "", "")
        return [each for each in map(json.loads, whole.splitlines()) if each["type"] == "event"]

    def of(task):
        return [each for each in events() if each.get("tags", {}).get("taskq.task_id") == str(task)]

    wait_until(lambda: of(lost), what="the loss has arrived")
    pool.stop()
    assert "hunter2" not in items.read_text()
    caught, error = of(failed)
    assert caught["logger"] == "shop.lines"  # what the task itself has logged
    assert [each["type"] for each in error["exception"]["values"]][-1] == "ValueError"
    assert error["fingerprint"] == ["{{ default }}", speaking.speak_and_fail.name]
    assert any(each["message"] == "caught" for each in error["breadcrumbs"]["values"])
    (loss,) = of(lost)
    assert loss["level"] == "error"
    assert loss["tags"]["taskq.event"] == "task.lost"
    assert loss["fingerprint"] == ["taskq", "task.lost", tasks.kill_self.name]
    assert "threads that run now" not in pool.log()
    assert len(events()) == 5  # and the two of the sensitive one
