"""Which statements of a task can leave nothing in its session, so that it need not be reset."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import Count, F, Q, Window
from django.db.models.functions import Coalesce, Lower, RowNumber, TruncDay
from django.test.utils import CaptureQueriesContext

from stress.project.shop.models import Order
from taskq.models import Task
from taskq.sql.postgresql.plain import LENGTH, leaves_nothing


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_what_the_orm_writes_leaves_nothing():
    with CaptureQueriesContext(connection) as ran:
        order = Order.objects.create(number=1)
        Order.objects.bulk_create([Order(number=5), Order(number=9)], ignore_conflicts=True)
        Order.objects.filter(pk=order.pk).update(number=F("number") + 1)
        Order.objects.filter(Q(number__in=[1, 2]) | ~Q(number=8)).exists()
        list(Task.objects.filter(name__icontains="a").annotate(day=TruncDay("created_at")))
        list(Task.objects.values("queue").annotate(n=Count("pk")).filter(n__gt=1))
        list(Task.objects.annotate(place=Window(RowNumber(), order_by="id"), n=Lower("name")))
        Task.objects.aggregate(n=Count("pk", filter=Q(state=0)), m=Coalesce(Count("error"), 0))
        Order.objects.all().delete()
    texts = [each["sql"] for each in ran.captured_queries]
    statements = [text for text in texts if text not in ("BEGIN", "COMMIT")]  # not by a cursor
    assert len(statements) >= 9
    for statement in statements:
        assert leaves_nothing(statement.encode()), statement


@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path TO a",
        "SELECT set_config('a.b', 'c', false)",
        "SELECT set_config" + " " * 99 + "('a.b', 'c', false)",
        "SELECT pg_catalog.set_config ('a.b', 'c', false)",
        "SELECT \"set_config\"('a.b', 'c', false)",
        "SELECT set_config/* */('a.b', 'c', false)",
        "SELECT set_config--\n('a.b', 'c', false)",
        "SELECT * FROM orders WHERE take_tenant(5)",
        "INSERT INTO orders (n) VALUES (pg_advisory_lock(1))",
        "INSERT INTO orders SELECT pg_advisory_lock(1)",
        "SELECT 1 INTO TEMP left_there",
        "select * into temporary left_there from orders",
        "SELECT 1; SET ROLE nobody",
        "WITH a AS (SELECT set_config('a.b', 'c', false)) SELECT 1",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "LISTEN a",
        "CREATE TEMP TABLE a (n int)",
        "PREPARE a AS SELECT 1",
        "DO $$ BEGIN END $$",
        "CALL something()",
        "SELECT " + "1, " * LENGTH + "1",
    ],
)
def test_what_may_leave_something_is_not_taken_for_plain(statement):
    assert not leaves_nothing(statement.encode())
