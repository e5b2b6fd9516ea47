"""Idempotency keys: what is sent twice with the same key is one task, also after its end."""

from __future__ import annotations

import datetime

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.db.models import F

from stress.rig.pools import wait_until
from taskq.models import IdempotencyKey, State, Task
from taskq.store import endings
from tests.project.lab import tasks as lab

DAY = datetime.timedelta(days=1)


def send(key="order-42", task=lab.quick, **options):
    return task.apply_async(("a",), idempotency_key=key, **options).id.int


def age(by):
    IdempotencyKey.objects.update(created_at=F("created_at") - by)


@pytest.mark.django_db
def test_the_same_key_is_the_same_task():
    first = send()
    assert send() == first
    assert send("order-43") != first
    assert send(task=lab.fail) != first, "keys are those of a name"
    assert Task.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_it_is_so_when_the_task_runs_and_when_it_is_done_or_has_failed(worker):
    first = send()
    run = worker.claim_one()
    assert send() == first
    worker.db.end(worker.id, [endings.finish(run.run)])
    assert send() == first
    assert not Task.objects.exists()
    other = send("order-43")
    worker.db.end(worker.id, [endings.fail(worker.claim_one().run, error="", traceback="")])
    assert send("order-43") == other
    assert Task.objects.get().state == State.FAILED


@pytest.mark.django_db
def test_after_its_time_the_key_is_new(settings):
    first = send()
    age(DAY - datetime.timedelta(minutes=1))
    assert send() == first
    age(datetime.timedelta(minutes=2))
    second = send()
    assert second != first
    assert send() == second
    settings.TASKQ = {"IDEMPOTENCY_TTL": None}
    age(1000 * DAY)
    assert send() == second
    settings.TASKQ = {"IDEMPOTENCY_TTL": 3600}
    assert send() != second
    assert IdempotencyKey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_key_is_part_of_the_transaction_as_the_task_is():
    with transaction.atomic():
        send()
        transaction.set_rollback(True)
    assert (Task.objects.count(), IdempotencyKey.objects.count()) == (0, 0)
    with transaction.atomic():
        first = send()
        assert send() == first
    assert send() == first


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("task", [lab.quick, lab.solo], ids=["plain", "unique"])
def test_without_a_transaction_key_and_task_are_one(task, monkeypatch):
    """It fails once the task is written."""
    monkeypatch.setattr("taskq.outbox.enqueue._tell", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        send(task=task)
    assert not IdempotencyKey.objects.exists()
    monkeypatch.undo()
    assert send(task=task) == Task.objects.get().pk


@pytest.mark.django_db(transaction=True)
def test_a_task_that_is_joined_is_the_first_of_its_key(worker):
    held = lab.count_orders.delay("a").id.int
    assert send(task=lab.count_orders) == held
    worker.claim_one()
    assert send("order-43", lab.count_orders) != held
    assert send(task=lab.count_orders) == held


@pytest.mark.postgresql
@pytest.mark.parametrize("rollback", [False, True])
def test_a_call_waits_for_the_transaction_that_has_used_the_key(call, rollback):
    def twice():
        return lab.quick.apply_async(("a",), idempotency_key="order-42")

    first = call(twice, rollback=rollback)
    second = call(twice, waits=True)
    assert (first.end() == second.end()) is not rollback
    assert Task.objects.get().pk == second.id


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "error"), [("", ValueError), ("x" * 256, ValueError), (5, TypeError)]
)
def test_what_cannot_be_a_key_is_refused(key, error):
    with pytest.raises(error, match="idempotency_key is"):
        send(key)
    assert not Task.objects.exists()


@pytest.mark.django_db
def test_it_is_for_one_call():
    with pytest.raises(TypeError, match="idempotency_key"):
        lab.quick.delay_many([("a",)], idempotency_key="k")


@pytest.mark.django_db
def test_a_signature_carries_it():
    assert lab.quick.s("a").set(idempotency_key="order-42").delay().id.int == send()


@pytest.mark.django_db
@pytest.mark.skipif(not apps.is_installed("tests.project.native"), reason="no Django tasks")
def test_tasks_of_djangos_have_it_by_using():
    from tests.project.native.tasks import place

    one = place.using(idempotency_key="order-42", priority=5)
    assert one.priority == 5
    assert one.enqueue(1).id == one.enqueue(1).id == one.using(priority=7).enqueue(1).id
    assert Task.objects.count() == 1
    with pytest.raises(ValueError, match="idempotency_key is for one call"):
        one.enqueue_many([("a",)])


# Pruning


@pytest.mark.django_db(transaction=True)
def test_keys_whose_time_is_over_are_pruned(db_store, capsys):
    for number in range(5):
        send(f"k{number}")
    age(2 * DAY)
    send("young")
    assert db_store.pruning.prune_keys(None, 100) == 0
    assert db_store.pruning.prune_keys(86400, 2) == 2
    call_command("taskq_prune")
    assert (
        "3 idempotency keys, 0 finished tasks, 0 losses and 0 workflows removed"
        in capsys.readouterr().out
    )
    assert IdempotencyKey.objects.get().key == "young"
    with pytest.raises(CommandError, match="--idempotency-ttl is -1"):
        call_command("taskq_prune", idempotency_ttl="-1")


def test_the_keeper_prunes_them(start_pool, transactional_db):
    send()
    age(2 * DAY)
    start_pool("-c", 1, "-Q", "none", "--lease", "3", "--heartbeat", "0.5")
    wait_until(lambda: not IdempotencyKey.objects.exists(), what="the old key is pruned")


@pytest.mark.postgresql
def test_pruning_starts_at_the_oldest_and_stops_at_its_limit(transactional_db):
    from taskq.sql.postgresql import pruning
    from tests.taskq.sql.plans import explain, indexes

    connection = connections["default"]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO taskq_idempotencykey (name, key, created_at) "
            "SELECT 'x', 'k' || n, now() - n * interval '1 minute' FROM generate_series(1, 20000) n"
        )
        cursor.execute("VACUUM ANALYZE taskq_idempotencykey")
    values = {"ttl": 3600.0, "limit": 10}
    nodes, pages = explain(connection.connection, pruning.KEYS, values)
    # What looks for the task of an id that a caller gave is in the plan, and not run for a key.
    ran = [node for node in nodes if node["Actual Loops"]]
    assert indexes(ran) == {"taskq_idempotency_created", "taskq_idempotencykey_pkey"}
    assert pages < 100
