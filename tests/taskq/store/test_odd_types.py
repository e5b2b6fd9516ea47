"""SQLite: cells that hold a value of another type than their column. Such a row fails or is left by
itself, is shown, and stops nothing else."""

from __future__ import annotations

import itertools

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.urls import reverse

from stress.rig.pools import wait_until
from taskq.celery import AsyncResult
from taskq.models import PausedQueue, Result, Schedule, State, Task, Worker
from tests.project.lab import oddities, tasks
from tests.taskq.admin.odd_rows import everything_opens, put, status
from tests.taskq.admin_site import WORKERS, act, text
from tests.taskq.store.bad_rows import insert

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

ODD = ["text", b"\xff\x00", 1.5, 10**18]


def columns(model):
    return [field.column for field in model._meta.concrete_fields if field.column != "id"]


@pytest.mark.parametrize("column", columns(Task))
def test_a_task_is_shown_by_every_door(root, capsys, good_worker, column):
    odd = []
    for value, state in zip(ODD, itertools.cycle(State)):
        task = Task.objects.create(name=tasks.add.name, worker=good_worker, state=state, attempt=1)
        put(task, **{column: value})
        odd.append(task)
        sent = AsyncResult(task.pk)
        assert sent.status in ("PENDING", "STARTED", "RETRY", "FAILURE", "REVOKED")
        assert isinstance(sent.retries, int)
        assert isinstance(sent.name, str)
    everything_opens(root, odd)
    call_command("taskq_top", "--once")
    capsys.readouterr()
    status(capsys)
    for verb in ("retry_selected", "cancel_selected", "delete_selected"):
        text(act(root, verb, *odd, post="yes"))


def row_of(model, number):
    """A row of a model that is like no other."""
    columns = {
        Worker: {"pool": "a:1", "name": f"worker {number}", "host": "a", "pid": number}
        | {"lease_expires_at": Now()},
        Result: {
            **{"id": number, "name": "a", "payload": "[[],{}]", "queue": "q", "priority": 0},
            **{"worker": "w", "created_at": Now(), "started_at": Now(), "finished_at": Now()},
            "value": "3",
        },
        Schedule: {
            **{"name": f"s{number}", "task": "t", "schedule": "* * * * *", "time_zone": "UTC"},
            **{"catch_up": "once", "payload": "", "queue": "q", "priority": 0, "max_losses": 3},
        },
        PausedQueue: {"queue": f"q{number}"},
    }  # fmt: skip
    return model.objects.create(**columns[model])


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("model", [Worker, Result, Schedule, PausedQueue])
def test_so_are_other_rows(root, capsys, model, value):
    kind = f"admin:taskq_{model._meta.model_name}"
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    for number, field in enumerate(fields, 1):
        row = row_of(model, number)
        put(row, **{field.column: value})
        if model is not PausedQueue:
            text(root.get(reverse(f"{kind}_change", args=[row.pk])))
        if model is Result:
            assert AsyncResult(number).status == "SUCCESS"
    if model is not PausedQueue:
        text(root.get(reverse(f"{kind}_changelist")))
    text(root.get(WORKERS))
    call_command("taskq_top", "--once")
    capsys.readouterr()
    status(capsys)


def test_a_pool_fails_or_leaves_such_tasks_and_others_go_on(start_pool, runs):
    for column, value in itertools.product(columns(Task), ODD):
        for name, key in ((tasks.quick.name, column), (oddities.retry_for_ever.name, "retried")):
            row = {"name": name, "payload": f'[["{key}"],{{}}]', column: value}
            insert(**row)
            insert(**{"state": State.RUNNING, **row})
    pool = start_pool("-c", 2)
    tasks.quick.delay("innocent")
    wait_until(lambda: runs("end", "innocent"))
    with connection.cursor() as cursor:
        for value in ODD[:3]:
            cursor.execute(
                "INSERT INTO taskq_worker (id, pool, name, host, pid, lease_expires_at) "
                "VALUES (%s, %s, %s, %s, %s, '2020-01-01')",
                [value] * 5,
            )
    tasks.quick.delay("later")
    wait_until(lambda: runs("end", "later"))
    for column in ("priority", "retries", "losses", "attempt", "isolated", "unknown_since"):
        assert runs("end", column), column
    wait_until(lambda: not Task.objects.filter(state=State.RUNNING, worker=None).exists())
    log = pool.log()
    assert "does not answer" not in log
    assert "cannot" not in log
    assert "died" not in log
