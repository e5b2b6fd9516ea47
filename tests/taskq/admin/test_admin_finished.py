"""Finished tasks in the admin: what it shows, and that it never reads all of them."""

from __future__ import annotations

import re
import uuid

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskq.admin import finished as finished_admin
from taskq.models import FinishedTask, Task
from taskq.sql.postgresql import partitions
from taskq.task import payload
from taskq.testing import run_all
from tests.project.lab import kept, secrets
from tests.taskq.admin_site import check_that_it_can_only_be_looked_at, text
from tests.taskq.admin_site import page as page_of_task
from tests.taskq.finished import DAY, finished, today
from tests.taskq.sql.plans import flat

pytestmark = pytest.mark.django_db

LIST = "/admin/taskq/finishedtask/"


def listed(client, **query):
    """The ids in the list."""
    found = re.findall(r"/admin/taskq/finishedtask/(\d+)/", text(client.get(LIST, query)))
    return [int(pk) for pk in found][::2]


def test_a_finished_task_shows_its_arguments_its_runs_and_until_when_it_is_kept(root):
    pk = kept.second_time_lucky.delay("<a>").id.int
    other = kept.with_result.delay("b").id.int
    run_all()
    rows = text(root.get(LIST))
    assert "tests.<wbr>project.<wbr>lab.<wbr>kept.<wbr>second_time_lucky" in rows
    assert '<span class="taskq-line">&#x27;&lt;a&gt;&#x27;</span>' in rows
    assert "taskq-value" in rows
    page = text(root.get(f"{LIST}{pk}/change/"))
    one = FinishedTask.objects.get(pk=pk)
    assert "&lt;a&gt;" in page
    assert page.count("builtins.ValueError") == 1
    assert one.worker in page
    assert str(uuid.UUID(int=pk)) in page
    assert re.search(r"\d[.,]\d+ s<", page)
    assert str(one.expires_on.year) in page
    assert "&#x27;key&#x27;: &#x27;b&#x27;" in text(root.get(f"{LIST}{other}/change/"))


def test_they_are_searched_and_filtered(root):
    days = [timezone.now() - n * DAY for n in range(3)]
    finished(1, name="a.first", queue="mail", finished_at=days[2])
    finished(2, name="b.second", payload=payload.encode(["Ada"], {"n": 42}), finished_at=days[1])
    finished(3, finished_at=days[0])
    assert listed(root) == [3, 2, 1]
    assert listed(root, q="first") == listed(root, q="#1") == [1]
    assert listed(root, q=str(uuid.UUID(int=2))) == [2]
    assert listed(root, q=str(uuid.uuid4())) == []
    assert listed(root, q="ada") == listed(root, q="Ada second") == listed(root, q="ada 42") == [2]
    assert listed(root, q="ada first") == listed(root, q="%") == []
    assert listed(root, queue="mail") == [1]
    assert listed(root, name="b.second") == [2]
    assert listed(root, day=str(timezone.localdate() - DAY)) == [2]
    assert listed(root, day=str(timezone.localdate() - 2 * DAY), queue="mail") == [1]
    for wrong in ("yesterday", "0001-01-01x", "2026-02-30"):
        assert root.get(LIST, {"day": wrong}).status_code == 302


def test_what_is_sensitive_is_neither_shown_nor_found(root):
    stored = payload.encode([7, "s3cret-token"], {})
    finished(1, name=secrets.pay.name, payload=stored)
    finished(2, payload=stored)
    assert listed(root, q="s3cret") == [2]
    assert listed(root, q="pay") == [1]
    assert "s3cret" not in text(root.get(LIST, {"name": secrets.pay.name}))
    assert "s3cret" not in text(root.get(f"{LIST}1/change/"))


def test_a_text_is_searched_in_the_newest_alone(root, monkeypatch):
    monkeypatch.setattr(finished_admin, "SEARCHED", 2)
    for id in range(1, 5):
        finished(id, name="b" if id == 2 else "a", finished_at=timezone.now() + id * DAY)
    assert listed(root, q="a") == [4, 3]
    assert listed(root, q="b") == []
    assert listed(root, q="b", name="b") == [2], "a filter leaves fewer, which reach further back"
    assert listed(root, q="1") == [1]


def test_no_more_are_counted_and_shown_than_the_first(root, monkeypatch):
    monkeypatch.setattr(finished_admin, "COUNTED", 60)
    for id in range(1, 71):
        finished(id)
    assert "60 finished tasks" in text(root.get(LIST))
    assert len(listed(root, p=2)) == 10
    assert root.get(LIST, {"p": 3}).status_code == 302


def test_of_two_with_one_id_the_newest_is_shown(root):
    """The sequence of ids was set back. On SQLite there is one row for each id."""
    finished(1, name="newer")
    if connection.vendor == "postgresql":
        finished(1, today() + 5 * DAY, name="older", finished_at=timezone.now() - DAY)
    assert "newer" in text(root.get(f"{LIST}1/change/"))
    assert root.get(f"{LIST}2/change/").status_code == 302
    assert root.get(f"{LIST}none/change/").status_code == 302
    assert root.get(f"{LIST}{2**70}/change/").status_code == 302


def test_a_task_that_is_gone_is_said_to_have_finished(root):
    pk = kept.plain.delay("a").id.int
    url = page_of_task(Task.objects.get())
    run_all()
    assert f"Task #{pk} has finished since" in text(root.get(url, follow=True))


def test_a_list_costs_few_queries_and_fetches_only_how_long_texts_begin(root):
    for id in range(1, 30):
        finished(id, value=payload.encode_result("x" * 100_000))
    root.get(LIST)  # fills what Django remembers
    with CaptureQueriesContext(connection) as queries:
        page = text(root.get(LIST))
    assert len(queries) <= 6
    assert "x" * 1000 not in page
    assert not any(
        re.search(r'(?<!\()"taskq_finished"."(value|payload|history)"(,| FROM)', query["sql"])
        for query in queries
    )


def test_a_finished_task_can_only_be_looked_at(root):
    check_that_it_can_only_be_looked_at(root, finished(1))


# The plans


MANY = 100_000


@pytest.fixture
def many(transactional_db, partitions_dropped):
    """Finished tasks of ten days: in ten partitions on PostgreSQL."""
    with transaction.atomic(), connection.cursor() as cursor:
        for n in range(10):
            for statement in partitions.make("public", today() + n * DAY):
                cursor.execute(statement)
        cursor.execute(
            "INSERT INTO taskq_finished SELECT n, CASE n %% 1000 WHEN 0 THEN 'rare' ELSE 'work' "
            "END, '[[],{}]', CASE n %% 1000 WHEN 1 THEN 'rare' ELSE 'often' END, 0, now(), now(), "
            "NULL, now(), now() - n * interval '1 second', 'w', 1, 0, NULL, NULL, "
            "(now() AT TIME ZONE 'UTC')::date + n %% 10 FROM generate_series(1, %s) n",
            [MANY],
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE taskq_finished")


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("query", "most"),
    [
        ({}, 300),
        ({"name": "rare"}, 300),
        ({"queue": "rare"}, 300),
        ({"day": "today", "name": "work"}, 300),
        ({"q": "1234"}, 60),
    ],
)
def test_a_list_reads_the_rows_that_it_shows(root, many, query, most):
    if query.get("day"):
        query = {**query, "day": str(timezone.localdate())}
    with CaptureQueriesContext(connection) as queries:
        text(root.get(LIST, query))
    (rows,) = [each["sql"] for each in queries if "payload_start" in each["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {rows}")
        ((((plan,),),),) = [cursor.fetchall()]
    (top,) = plan if isinstance(plan, list) else [plan]
    nodes = flat(top["Plan"])
    scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
    assert scanned <= {"taskq_finished_default"}  # which is empty
    assert top["Plan"]["Shared Hit Blocks"] + top["Plan"]["Shared Read Blocks"] < most
