"""Where a running task is, in the admin: a button, and the page with its stack."""

import pytest

from stress.rig.pools import wait_until
from taskq.models import StackRequest, State, Task
from tests.project.lab import lost
from tests.taskq.admin_site import page, text, user_with

BUTTON = "Show its stack"


@pytest.fixture
def in_transactions(settings, transactional_db):
    """A site whose views each run in a transaction."""
    settings.DATABASES["default"]["ATOMIC_REQUESTS"] = True
    yield
    settings.DATABASES["default"]["ATOMIC_REQUESTS"] = False


def test_a_running_task_shows_its_stack(start_pool, runs, in_transactions, root):
    start_pool("-c", 1, TASKQ_TEST_READY="is_patient")
    pk = lost.wait_here.delay("a", 300).id.int
    wait_until(lambda: runs("start", "a"))
    task = Task.objects.get(pk=pk)
    assert BUTTON in text(root.get(page(task)))
    shown = text(root.post(page(task, "stack")))
    assert "in wait_here" in shown
    assert f"runs tests.project.lab.lost.wait_here #{pk} for " in shown
    assert not StackRequest.objects.exists()


@pytest.mark.django_db
def test_a_task_that_does_not_run_has_no_button_and_says_why_there_is_no_stack(root):
    task = Task.objects.create(name="x", state=State.READY)
    assert BUTTON not in text(root.get(page(task)))
    said = text(root.post(page(task, "stack"), follow=True))
    assert "does not run" in said
    assert "There is no task #" in text(root.post(page(Task(pk=task.pk + 1), "stack"), follow=True))


@pytest.mark.django_db
def test_to_ask_takes_a_post_and_the_permission_to_change_tasks(root, good_worker):
    task = Task.objects.create(name="x", state=State.RUNNING, worker=good_worker)
    assert root.get(page(task, "stack")).status_code == 405
    viewer = user_with("view_task")
    assert viewer.post(page(task, "stack")).status_code == 403
    assert BUTTON not in text(viewer.get(page(task)))
