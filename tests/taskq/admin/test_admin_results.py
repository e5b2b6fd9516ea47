"""Results in the admin: what it shows, and that nobody changes them there."""

from __future__ import annotations

import datetime
import re
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskq.celery import shared_task
from taskq.models import Result
from taskq.task import payload
from taskq.testing import run_all
from tests.project.lab import tasks as lab
from tests.taskq.admin_site import check_that_it_can_only_be_looked_at, text

pytestmark = pytest.mark.django_db

LIST = "/admin/taskq/result/"


@shared_task(ignore_result=False, bind=True, autoretry_for=(ValueError,), default_retry_delay=0)
def third_time_lucky(self):
    if self.request.retries < 2:
        raise ValueError(f"<no luck {self.request.retries}>")
    return {"lucky": "<yes>"}


def listed(client, **query):
    """The ids in the list."""
    return [
        int(pk) for pk in re.findall(r"/admin/taskq/result/(\d+)/", text(client.get(LIST, query)))
    ][::2]


def test_a_result_shows_what_was_returned_and_by_whom(root):
    pk = lab.add.delay(1, b=2).id.int
    run_all()
    result = Result.objects.get()
    rows = text(root.get(LIST))
    assert "tests.<wbr>project.<wbr>lab.<wbr>tasks.<wbr>add" in rows
    assert '<span class="taskq-line">1, b=2</span>' in rows
    assert '<span class="taskq-line taskq-value">3</span>' in rows
    page = text(root.get(f"{LIST}{pk}/change/"))
    assert '<pre class="taskq-text">1,\nb=2</pre>' in page
    assert '<pre class="taskq-text">3</pre>' in page
    assert result.worker in page
    assert str(uuid.UUID(int=pk)) in page
    assert re.search(r"0[.,]\d+ s<", page)


def test_the_runs_that_came_to_nothing_are_told(root):
    result = third_time_lucky.delay()
    run_all()
    page = text(root.get(f"{LIST}{result.id.int}/change/"))
    assert page.count("builtins.ValueError") == 2
    assert "&lt;no luck 0&gt;" in page
    assert "&lt;no luck 1&gt;" in page
    assert "&lt;yes&gt;" in page
    assert page.count("/run_all/") == 3  # two runs, and the last


def make(**fields):
    now = timezone.now()
    pk = (Result.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
    return Result.objects.create(
        **{
            "id": pk,
            "name": "work",
            "payload": payload.encode([], {}),
            "queue": "default",
            "priority": 0,
            "created_at": now,
            "started_at": now - datetime.timedelta(seconds=2),
            "finished_at": now,
            "worker": "a/worker 1/7",
            "value": payload.encode_result(None),
            **fields,
        }
    )


def test_they_are_searched_and_filtered(root):
    one, other = make(name="a.first", queue="mail"), make(name="b.second")
    assert listed(root) == [other.pk, one.pk]
    assert listed(root, q="first") == [one.pk]
    assert listed(root, q=f"#{one.pk}") == [one.pk]
    assert listed(root, q=str(uuid.UUID(int=other.pk))) == [other.pk]
    assert listed(root, q=str(uuid.uuid4())) == []
    assert listed(root, queue="mail") == [one.pk]
    assert listed(root, name="b.second") == [other.pk]


def test_a_pickle_is_not_unpickled_to_show_it(root):
    pk = make(payload="pickle:gASV", value="pickle:gASV").pk
    assert text(root.get(LIST)).count("(pickled)") == 2
    assert text(root.get(f"{LIST}{pk}/change/")).count("(pickled)") == 2


def test_a_list_fetches_only_how_long_texts_begin(root):
    make(value=payload.encode_result("x" * 100_000), history=None)
    with CaptureQueriesContext(connection) as queries:
        page = text(root.get(LIST))
    assert "x" * 1000 not in page
    assert not any(
        re.search(r'(?<!\()"taskq_result"."(value|payload|history)"(,| FROM)', query["sql"])
        for query in queries
    )


def test_a_result_can_only_be_looked_at(root):
    check_that_it_can_only_be_looked_at(root, make())
