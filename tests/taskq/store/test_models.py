"""The tables as people and plain SQL see them."""

from __future__ import annotations

import datetime
import uuid

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now

from taskq.models import State, Task, Worker
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.django_db

STATES = ("pending", "future", "active", "lost", "failed", "blocked")
HOUR = datetime.timedelta(hours=1)


def worker(lease=HOUR):
    return Worker.objects.create(
        pool="host:1", name="worker 1", host="host", pid=1, lease_expires_at=Now() + lease
    )


def task(**fields):
    made = Task.objects.create(name="work", **fields)
    made.refresh_from_db()
    return made


def state_of(made):
    """The states that a task is shown in."""
    return [name for name in STATES if made in getattr(Task.objects, name)()]


def test_task_that_is_due_is_pending():
    assert state_of(task()) == ["pending"]
    assert state_of(task(execute_at=Now() - HOUR)) == ["pending"]


def test_task_that_is_not_due_is_future():
    assert state_of(task(execute_at=Now() + HOUR)) == ["future"]


def test_task_with_a_good_lease_is_active():
    assert state_of(task(state=State.RUNNING, worker=worker())) == ["active"]


def test_task_whose_lease_ran_out_is_lost():
    assert state_of(task(state=State.RUNNING, worker=worker(-HOUR))) == ["lost"]


def test_task_whose_worker_is_gone_is_lost():
    made = task(state=State.RUNNING, worker=worker())
    Worker.objects.all().delete()
    assert state_of(made) == ["lost"]


def test_task_that_runs_for_nobody_is_lost():
    assert state_of(task(state=State.RUNNING)) == ["lost"]


def test_task_that_was_given_up_is_failed():
    assert state_of(task(state=State.FAILED, execute_at=Now() + HOUR)) == ["failed"]
    assert state_of(task(state=State.FAILED, worker=worker(-HOUR))) == ["failed"]


def test_states_overlap_nowhere_and_leave_nothing_out():
    for state in State:
        for due in (-HOUR, HOUR):
            for lease in (None, -HOUR, HOUR):
                held = None if lease is None else worker(lease)
                made = task(state=state, execute_at=Now() + due, worker=held)
                assert len(state_of(made)) == 1


def test_states_of_a_queryset_can_be_filtered_further():
    task(queue="mail")
    task(queue="sms")
    assert Task.objects.filter(queue="mail").pending().count() == 1
    assert Task.objects.pending().filter(queue="mail").count() == 1


def test_plain_insert_of_name_and_payload_is_a_task_like_any_other():
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO taskq_task (name, payload) VALUES ('work', '[[1],{}]')")
    inserted, ours = Task.objects.get(), Task.objects.get(pk=lab.quick.delay(1).id.int)
    for field in Task._meta.concrete_fields:
        if field.name not in ("id", "name", "created_at", "execute_at"):
            assert getattr(inserted, field.name) == getattr(ours, field.name), field.name
    assert inserted.execute_at == inserted.created_at
    assert state_of(inserted) == ["pending"]


def test_id_is_the_number_of_the_uuid():
    made = task()
    assert made.uuid == str(uuid.UUID(int=made.pk))
    assert lab.quick.delay("a").id == Task.objects.latest("id").uuid


def test_ids_grow_and_are_used_once():
    first, second = task(), task()
    assert first.pk < second.pk
    last = second.pk
    second.delete()
    # A revoked id must not become the id of another task.
    assert task().pk > last


def test_names_for_people():
    made, its_worker = task(), worker()
    assert str(made) == f"work #{made.pk}"
    assert str(its_worker) == "worker 1 of host:1"


def test_tables_are_named_as_documented():
    assert (Task._meta.app_label, Task._meta.db_table) == ("taskq", "taskq_task")
    assert (Worker._meta.app_label, Worker._meta.db_table) == ("taskq", "taskq_worker")
    assert Task._meta.pk.get_internal_type() == "BigAutoField"
    assert Worker._meta.pk.get_internal_type() == "BigIntegerField"


def test_migrations_are_complete():
    call_command("makemigrations", "taskq", check=True, dry_run=True, verbosity=0)
