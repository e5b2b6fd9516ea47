"""Workflows in the admin, and what it says of tasks that are steps."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from taskq.models import SentWorkflow, State, Task
from taskq.workflow import Workflow
from tests.project.lab import tasks as lab
from tests.taskq.admin_site import LIST as TASKS
from tests.taskq.admin_site import act as act_on_tasks
from tests.taskq.admin_site import listed as tasks_listed
from tests.taskq.admin_site import page, said, text, user_with

pytestmark = pytest.mark.django_db

LIST = "/admin/taskq/sentworkflow/"


def send(name="report", parts=2):
    flow = Workflow(name)
    steps = [flow.add(lab.add, [number, 0]) for number in range(parts)]
    flow.add(lab.trace, [flow.results(steps)])
    return flow.send()


def fail(*ids):
    Task.objects.filter(pk__in=ids).update(state=State.FAILED, failed_at=Now(), attempt=1)


def rows(client):
    found = text(client.get(LIST)).partition("<tbody>")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def act(client, action, *rows):
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(LIST, data, follow=True)


def listed(client, **query):
    return set(map(int, re.findall(r"sentworkflow/(\d+)/change", text(client.get(LIST, query)))))


def test_the_list_says_how_far_each_is(root):
    sent, still, done = send("one"), send("two"), send("three")
    fail(still.task_ids[0])
    Task.objects.filter(pk=still.task_ids[1]).delete()
    done.steps_left().delete()
    SentWorkflow.objects.filter(pk=done.pk).update(finished_at=Now())
    found = rows(root)
    assert f"{sent.pk} one goes on 3 3 0" in found
    assert f"{still.pk} two stands still 3 2 1" in found
    assert f"{done.pk} three done 3 0 0" in found
    assert listed(root, state="open") == {sent.pk, still.pk}
    assert listed(root, state="ended") == {done.pk}
    assert root.get(LIST, {"state": "odd"}).status_code == 302


def test_the_search_takes_a_number_or_a_name(root):
    one, two = send("monthly report"), send("other")
    assert listed(root, q="monthly") == {one.pk}
    assert listed(root, q=f"#{two.pk}") == {two.pk}
    assert listed(root, q="9" * 40) == set()


def test_the_page_leads_to_its_steps(root):
    sent = send()
    found = text(root.get(f"{LIST}{sent.pk}/change/"))
    assert f'href="{TASKS}?workflow={sent.pk}"' in found
    assert f'href="/taskq/workflows/{sent.pk}/"' in found
    assert "payload" not in found
    assert "_save" not in found


def test_failed_steps_are_retried(root):
    sent, other, over = send(), send(), send()
    fail(*sent.task_ids[:2], over.task_ids[0], other.task_ids[0])
    over.cancel()
    assert said(act(root, "retry_selected", sent, over)) == ["2 steps will run again."]
    assert set(Task.objects.failed().values_list("pk", flat=True)) == {
        *(other.task_ids[0], over.task_ids[0]),
    }
    assert LogEntry.objects.get().change_message == "Retried its failed steps"
    assert said(act(root, "retry_selected", sent)) == [
        "Nothing to retry: no step of them has failed."
    ]


def test_workflows_are_cancelled(root):
    sent, other = send(), send()
    assert said(act(root, "cancel_selected", sent)) == [
        "Cancelled: 3 steps were removed, and 0 asked to end."
    ]
    assert other.steps_left().count() == Task.objects.count() == 3
    sent.refresh_from_db()
    assert sent.cancelled_at is not None


def test_who_may_only_look_has_no_actions():
    sent = send()
    fail(sent.task_ids[0])
    staff = user_with("view_sentworkflow")
    assert "cancel_selected" not in text(staff.get(LIST))
    act(staff, "cancel_selected", sent)
    act(staff, "retry_selected", sent)
    assert Task.objects.count() == 3
    assert Task.objects.failed().count() == 1
    assert staff.get(f"{LIST}add/").status_code == 403
    assert staff.post(f"{LIST}{sent.pk}/delete/", {"post": "yes"}).status_code == 403
    assert user_with("view_task", username="b").get(LIST).status_code == 403


def test_a_list_costs_the_same_for_more_rows(root):
    send()
    root.get(LIST)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            text(root.get(LIST))
        return [query["sql"] for query in captured if "taskq_" in query["sql"]]

    few = queries()
    assert not any('"steps"' in sql or '"tasks"' in sql for sql in few)
    for _ in range(20):
        send(parts=5)
    assert len(queries()) == len(few) <= 3


# Tasks as steps


def test_a_task_is_listed_by_its_workflow(root):
    sent, other = send(), send()
    assert tasks_listed(root, workflow=sent.pk) == set(sent.task_ids)
    assert tasks_listed(root, workflow=sent.pk, state="blocked") == {sent.task_ids[-1]}
    assert f"?workflow={other.pk}" in text(root.get(TASKS))
    assert tasks_listed(root, workflow=10**30) == set()
    assert root.get(TASKS, {"workflow": "odd"}).status_code == 302


def test_the_page_of_a_step_names_its_workflow_and_what_it_waits_for(root):
    sent = send()
    one, two, last = Task.objects.order_by("pk")
    found = text(root.get(page(last)))
    assert f'<a href="{LIST}{sent.pk}/change/">report #{sent.pk}</a>' in found
    for part in (one, two):
        assert f'href="{page(part)}">{part.name} #{part.pk}</a>' in found
    assert (
        "sentworkflow/"
        not in text(root.get(page(Task.objects.create(name="x")))).partition("fieldset")[2]
    )
    # Its workflow was pruned.
    SentWorkflow.objects.all().delete()
    assert f"#{sent.pk}" in text(root.get(page(last)))


def test_of_a_blocked_step_nothing_is_offered_that_makes_no_sense(root):
    send()
    last = Task.objects.blocked().get()
    found = text(root.get(page(last)))
    assert "/cancel/" in found
    assert "/retry/" not in found
    assert "/stack/" not in found
    assert said(act_on_tasks(root, "retry_selected", last))[0].startswith("Nothing to retry")
    assert Task.objects.blocked().get() == last
    assert said(act_on_tasks(root, "cancel_selected", last)) == ["1 waiting task was removed."]


def test_many_parts_are_not_all_named(root):
    send(parts=30)
    found = text(root.get(page(Task.objects.blocked().get())))
    assert found.count("tasks.add #") == 10
    assert "…" in found
