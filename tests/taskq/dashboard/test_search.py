"""The search: ids, names, queues, and texts in arguments and errors of the newest rows."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from taskq.celery import shared_task
from taskq.dashboard import searching
from taskq.models import FinishedTask, Result, State, Task
from tests.taskq.sql.conftest import raw  # noqa: F401  a fixture
from tests.taskq.sql.plans import flat, scans_whole_table

from .site import ran, words

SEARCH = "/taskq/search/"

pytestmark = pytest.mark.django_db


def found(text):
    return {
        str(table.title): [hit.id for hit in table.hits]
        for table in searching.search("default", text)
    }


def done(model, id, payload="[[],{}]", **fields):
    times = {each: Now() for each in ("created_at", "started_at", "finished_at")}
    common = {"name": "shop.pay", "queue": "q", "priority": 0, "worker": "w", "payload": payload}
    return model.objects.create(id=id, **times, **(common | fields))


def test_a_task_is_found_by_each_form_of_its_id():
    task = Task.objects.create(name="shop.pay")
    for text in (str(task.pk), f"#{task.pk}", str(task.uuid), task.uuid.hex):
        assert found(text)["By id"] == [task.pk]
    assert found("-") == {}


def test_a_task_is_found_by_name_queue_argument_and_error():
    one = Task.objects.create(name="shop.pay", queue="mail", payload='[["Müller, A"],{}]')
    two = Task.objects.create(name="shop.mail", payload='[["M\\u00fcller"],{}]')
    three = Task.objects.create(
        name="x", state=State.FAILED, failed_at=Now(), error="ValueError: no Such"
    )
    assert found("mail") == {
        "Waiting in the queue of this name": [one.pk],
        "Tasks": [two.pk],
    }
    assert found("Müller") == {"Tasks": [two.pk, one.pk]}
    assert found("no such") == {"Tasks": [three.pk], "Failed tasks": [three.pk]}
    assert found("100%") == {}


def test_what_is_done_is_found_too():
    done(Result, 5, '[["needle"],{}]', value="1")
    done(FinishedTask, 6, '[["needle"],{}]', **finished())
    ran("shop.needle", task_id=7)
    assert found("needle") == {"Results": [5], "Finished tasks": [6]}
    assert found("shop.needle") == {"Recent runs of this name": [7]}


def finished():
    return {"execute_at": Now(), "attempt": 1, "retries": 0, "expires_on": "2999-01-01"}


def test_only_the_newest_are_searched(monkeypatch):
    monkeypatch.setattr(searching, "NEWEST", 3)
    pks = [Task.objects.create(name="shop.pay").pk for _ in range(5)]
    assert found("shop")["Tasks"] == pks[:1:-1]
    monkeypatch.setattr(searching, "MANY", 2)
    (table,) = searching.search("default", "shop")
    assert (len(table.hits), table.more) == (2, True)


def test_sensitive_arguments_are_not_found(registered, root):
    @shared_task(name="shop.login", sensitive=("token",))
    def login(user, token):
        pass

    login.delay("ada", "needle")
    assert found("needle") == {}
    assert "needle" not in words(root.get(SEARCH, {"q": "login"}))


def test_the_page_shows_what_was_found_with_a_link(root):
    task = Task.objects.create(name="shop.pay", payload='[["<b>"],{}]')
    page = root.get(SEARCH, {"q": "pay"})
    assert f'href="/taskq/task/{task.pk}/"' in page.content.decode()
    assert "&#x27;&lt;b&gt;&#x27;" in page.content.decode()
    assert "Nothing was found." in words(root.get(SEARCH, {"q": "elsewhere"}))
    assert "Nothing was found." not in words(root.get(SEARCH))
    assert root.get(SEARCH, {"q": "a\0b" + "x" * 999}).status_code == 200


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_no_search_reads_a_table_from_end_to_end(raw, monkeypatch):  # noqa: F811
    monkeypatch.setattr(searching, "NEWEST", 100)
    raw.execute("UPDATE taskq_task SET failed_at = now() - id * interval '1 s' WHERE state = 2")
    raw.execute("VACUUM ANALYZE taskq_task") if raw.autocommit else None
    with CaptureQueriesContext(connection) as queries:
        searching.search("default", "needle")
        searching.search("default", "q0")
    assert len(queries) < 30
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (FORMAT JSON) " + query["sql"].replace("%", "%%"), ())
            ((plan,),) = cursor.fetchall()
        (top,) = json.loads(plan) if isinstance(plan, str) else plan
        assert not scans_whole_table(flat(top["Plan"]), "taskq_task"), query["sql"]
