"""Failed tasks by kind: grouped for a page, and worked off by a walk in steps."""

from __future__ import annotations

import datetime
import json

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskq import failures, tasks
from taskq.failures import Kind
from taskq.models import State, Task
from taskq.task import registry
from taskq.testing import run_all
from tests.taskq.sql.conftest import raw  # noqa: F401  a fixture
from tests.taskq.sql.plans import flat, indexes, scans_whole_table

pytestmark = pytest.mark.django_db

SECOND = datetime.timedelta(seconds=1)
FRAME = '  File "/srv/shop/{file}", line {line}, in {function}\n    x()\n'


def traceback(*places, error="ValueError: no"):
    frames = (FRAME.format(file=file, line=line, function=f) for file, line, f in places)
    return "Traceback (most recent call last):\n" + "".join(frames) + error


def failed(name="shop.pay", error="ValueError: no", at=("a.py", 3, "pay"), ago=0, **fields):
    return Task.objects.create(
        name=name,
        state=State.FAILED,
        attempt=1,
        error=error,
        traceback=traceback(at, error=error) if at else "",
        failed_at=Now() - ago * SECOND,
        **fields,
    )


def kinds():
    found = failures.groups("default")
    return [(g.count, g.kind.name, g.kind.error, g.kind.place) for g in found.all]


def test_they_are_grouped_by_name_exception_and_place():
    for number in range(3):
        failed(error=f"ValueError: no {number}", at=("a.py", number, "pay"), ago=1000 * number)
    failed(error="shop.errors.Declined: x\nValueError: y")
    failed(at=("b.py", 3, "pay"))
    failed("shop.mail")
    failed(cancelled_at=Now())
    Task.objects.create(name="shop.pay")
    assert kinds()[0] == (3, "shop.pay", "ValueError", "srv/shop/a.py:pay")
    assert sorted(kinds()[1:]) == [
        (1, "shop.mail", "ValueError", "srv/shop/a.py:pay"),
        (1, "shop.pay", "ValueError", "srv/shop/b.py:pay"),
        (1, "shop.pay", "shop.errors.Declined", "srv/shop/a.py:pay"),
    ]
    group = failures.groups("default").all[0]
    assert group.example == "ValueError: no 0"
    assert (group.last - group.first).total_seconds() == pytest.approx(2000, abs=60)
    assert failures.groups("default").find(group.kind.key).newest == group.newest
    assert [group.kind.name for group in failures.groups("default", name="shop.mail").all] == [
        "shop.mail"
    ]


def test_an_error_without_a_class_is_of_a_kind_with_others_that_differ_in_numbers():
    for pid in (12, 4711):
        failed(error=f"worker 3 was killed by signal 9 (pid {pid})", at=None)
    failed(error="", at=None)
    assert kinds() == [
        (2, "shop.pay", "worker … was killed by signal … (pid …)", ""),
        (1, "shop.pay", "", ""),
    ]


def test_only_the_newest_are_read_and_that_is_said(monkeypatch):
    for number in range(5):
        failed(ago=number)
    failed(at=("b.py", 3, "pay"), ago=100)
    monkeypatch.setattr(failures, "NEWEST", 3)
    found = failures.groups("default")
    assert (found.read, found.more, [group.count for group in found.all]) == (3, True, [3])
    monkeypatch.setattr(failures, "NEWEST", 6)
    assert not failures.groups("default").more


def odd_rows():
    Task.objects.create(name="shop.pay", state=State.FAILED, error="ValueError: no")
    if connection.vendor == "sqlite":
        one = failed(ago=5)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE taskq_task SET failed_at = 'yesterday', error = x'00' WHERE id = %s",
                [one.pk],
            )


def the_kind():
    return Kind("shop.pay", "ValueError", "srv/shop/a.py:pay")


def all_of_a_walk(many=2, read=3):
    found, after = [], None
    until = timezone.now() + SECOND
    for _ in range(50):
        ids, after = failures.walk(
            "default", the_kind(), until=until, after=after, many=many, read=read
        )
        assert len(ids) <= many
        found += ids
        if after is None:
            return found
    raise AssertionError("the walk does not end")


def test_a_walk_meets_each_of_a_kind_once_and_no_other():
    ours = [failed(ago=100 - number).pk for number in range(7)]
    for number in range(5):
        failed(at=("b.py", 3, "pay"), ago=100 - number)
        failed("shop.mail", ago=50)
    same = timezone.now().replace(microsecond=123_000)
    Task.objects.filter(pk__in=ours[2:6]).update(failed_at=same)
    odd_rows()
    assert sorted(all_of_a_walk()) == ours
    assert sorted(all_of_a_walk(many=100, read=1)) == ours


def test_one_that_fails_again_is_not_met_again():
    old, new = failed(ago=10), failed()
    until = timezone.now() - 5 * SECOND
    assert failures.walk("default", the_kind(), until=until, many=9) == ([old.pk], None)
    assert new


@pytest.mark.parametrize("verb", tasks.VERBS)
def test_a_group_is_worked_off_in_steps(verb):
    for number in range(25):
        failed(ago=number, queue="mail")
    failed(at=("b.py", 3, "pay"))
    group = failures.groups("default").all[0]
    step = (verb, *(group.kind.name, group.kind.error, group.kind.place))
    for _ in range(2):  # the second press joins the first
        tasks.work_off_failures.apply_async((*step, group.last.isoformat(), 10), queue="steps")
    steps = Task.objects.filter(name=tasks.work_off_failures.name)
    assert steps.count() == 1
    for left in (16, 6, 1):
        run_all(queues="steps")
        assert Task.objects.failed().count() == left
        assert steps.future().count() == (left > 1)
        steps.run_now()
    assert Task.objects.filter(name="shop.pay").count() == (26 if verb == "retry" else 1)


def test_a_step_that_is_wrong_fails():
    with pytest.raises(ValueError, match="verb is 'hide': use one of retry, discard"):
        tasks.work_off_failures("hide", "n", "e", "p", "2026-01-01T00:00:00+00:00", 1)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_newest_and_the_steps_are_found_by_the_index_of_failed_tasks(raw):  # noqa: F811
    raw.execute("UPDATE taskq_task SET failed_at = now() - id * interval '1 s' WHERE state = 2")
    raw.execute("VACUUM ANALYZE taskq_task") if raw.autocommit else None
    with CaptureQueriesContext(connection) as queries:
        failures.groups("default")
        failures.walk("default", the_kind(), until=timezone.now(), many=10, read=100)
        after = failures.Place(timezone.now() - 3600 * SECOND, 1)
        failures.walk("default", the_kind(), until=timezone.now(), after=after, many=10, read=100)
    plans = []
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
            ((plan,),) = cursor.fetchall()
        plans.append(flat((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    assert [indexes(plan) for plan in plans] == 3 * [{"taskq_task_failed"}]
    kinds = {node["Node Type"] for plan in plans for node in plan}
    assert "Sort" not in kinds
    assert not any(scans_whole_table(plan, "taskq_task") for plan in plans)


def test_the_task_of_taskq_itself_is_known_and_not_among_the_sites():
    assert registry.find(tasks.work_off_failures.name)
    assert tasks.work_off_failures.name not in registry.names()
