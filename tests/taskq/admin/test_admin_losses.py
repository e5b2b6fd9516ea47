"""Losses in the admin: what they show, and that nobody changes them there."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from taskq.models import Loss, State, Task
from tests.taskq.admin_site import check_that_it_can_only_be_looked_at, page, root, text

pytestmark = pytest.mark.django_db

LIST = "/admin/taskq/loss/"
__all__ = ["root"]


def loss(**given):
    values = {
        **{"pool": "web-1:7", "host": "web-1", "worker": "worker 1", "pid": 42, "task_id": 0},
        **{"attempt": 1, "name": "shop.build", "queue": "q", "place": "report.py:612 (<b>)"},
        **{"cause": "killed by SIGKILL", "stack": "<frozen>\x1b", "version": "taskq 1"},
        **{"memory": "[[2.0,1992294],[0.4,1992294]]"},
    }
    return Loss.objects.create(**{**values, **given})


def test_the_list_and_the_page_say_what_happened_and_where(root):
    found = loss(task_id=5)
    sentence = "killed by SIGKILL at 1.9 GiB, was in report.py:612 (&lt;b&gt;)"
    rows = text(root.get(LIST))
    assert sentence in rows
    assert 'href="/admin/taskq/task/5/change/"' in rows
    shown = text(root.get(f"{LIST}{found.pk}/change/"))
    assert sentence in shown
    assert "&lt;frozen&gt;\\x1b" in shown
    assert "0.4 s before: 1.9 GiB" in shown


def test_a_list_fetches_no_stack_and_costs_the_same_for_more_rows(root):
    loss()
    root.get(LIST)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            text(root.get(LIST))
        return captured.captured_queries

    few = queries()
    assert not any('"stack"' in query["sql"] for query in few)
    for _ in range(20):
        loss()
    assert len(queries()) == len(few) <= 5


def test_losses_are_found_by_the_task_and_by_a_part_of_the_place(root):
    loss(task_id=71), loss(task_id=72, place="other.py:1 (f)")
    assert text(root.get(LIST, {"q": "71"})).count("shop.build #") == 1
    assert "shop.build #72" in text(root.get(LIST, {"q": "other.py"}))
    assert "shop.build #" not in text(root.get(LIST, {"q": str(2**70)}))


def test_a_tasks_page_links_to_its_last_losses(root):
    task = Task.objects.create(name="x", state=State.FAILED, attempt=3, losses=1)
    for _ in range(7):
        loss(task_id=task.pk)
    loss(task_id=task.pk + 1)
    shown = text(root.get(page(task)))
    assert "1 of 3 allowed" in shown
    assert len(re.findall(r'href="/admin/taskq/loss/\d+/', shown)) == 5
    assert "killed by SIGKILL at 1.9 GiB" in shown


def test_a_loss_can_only_be_looked_at(root):
    check_that_it_can_only_be_looked_at(root, loss())
