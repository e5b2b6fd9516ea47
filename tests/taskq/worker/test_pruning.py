"""Results and failed tasks that are too old: pruned by the keeper, and by hand."""

from __future__ import annotations

import datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from stress.rig.pools import wait_until
from taskq.models import Result, SentWorkflow, State, Task, Worker
from taskq.store import connecting


def result_of(days):
    when = timezone.now() - datetime.timedelta(days=days)
    return Result(
        id=Result.objects.count() + 1, name="x", payload="[[],{}]", queue="q", priority=0,
        worker="w", created_at=when, started_at=when, finished_at=when, value="[[1],{}]",
    )  # fmt: skip


@pytest.fixture
def old_ones(transactional_db):
    """Results and failed tasks of today, of two days ago, and of ten."""
    for days in (0, 2, 10):
        result_of(days).save()
        when = timezone.now() - datetime.timedelta(days=days)
        Task.objects.create(name=f"failed {days}", state=State.FAILED, failed_at=when)
        Task.objects.create(name=f"waits {days}", execute_at=when)
    return left


def left():
    failed = Task.objects.failed().order_by("id").values_list("name", flat=True)
    return Result.objects.count(), [int(name.split()[1]) for name in failed]


DAY = 86400.0


@pytest.mark.parametrize(
    ("result_ttl", "failed_ttl", "expected"),
    [
        (None, None, (3, [0, 2, 10])),
        (DAY, None, (1, [0, 2, 10])),
        (5 * DAY, 5 * DAY, (2, [0, 2])),
        (None, DAY, (3, [0])),
    ],
)
def test_what_is_too_old_is_pruned_and_nothing_else(
    old_ones, db_store, result_ttl, failed_ttl, expected
):
    db_store.pruning.prune_results(result_ttl, 100)
    db_store.pruning.prune_failed(failed_ttl, 100)
    assert left() == expected
    assert Task.objects.filter(state=State.READY).count() == 3


def test_pruning_goes_in_small_batches_oldest_first(old_ones, db_store):
    def prune(ttl, limit):
        store = db_store.pruning
        return store.prune_results(ttl, limit), store.prune_failed(ttl, limit)

    assert prune(1.0, 1) == (1, 1)
    assert left() == (2, [0, 2])
    assert prune(DAY, 10) == (1, 1)
    assert prune(DAY, 10) == (0, 0)
    assert left() == (1, [0])


def test_the_keeper_prunes(old_ones, start_pool):
    start_pool("-c", 1, "-Q", "none", "--lease", "6", "--heartbeat", "0.5")
    wait_until(lambda: Result.objects.count() == 1, what="old results are pruned")
    assert left() == (1, [0, 2, 10]), "what failed is kept, unless FAILED_TTL says until when"


@pytest.mark.postgresql
def test_pruning_that_always_fails_does_not_keep_the_pool_from_its_other_duties(
    old_ones, start_pool, new_worker
):
    """A site's own table refers to a result."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE mine (result bigint REFERENCES taskq_result)")
        cursor.execute("INSERT INTO mine SELECT id FROM taskq_result")
    try:
        pool = start_pool("-c", 1, "--lease", "6", "--heartbeat", "0.5")
        pool.wait_for_log("violates foreign key constraint")
        gone = new_worker(lease=0.0)
        wait_until(lambda: not Worker.objects.filter(pk=gone.id).exists(), what="it is reclaimed")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE mine")


@pytest.mark.postgresql
def test_pruning_by_hand_leaves_nothing_in_a_poolers_session(old_ones, settings, monkeypatch):
    settings.TASKQ = {"LISTEN": False}
    seen, connect = [], connecting.connect

    def connect_and_see(*args, **options):
        db = connect(*args, **options)
        seen.extend(db.connection.rows("SHOW enable_seqscan", {}))
        return db

    monkeypatch.setattr(connecting, "connect", connect_and_see)
    call_command("taskq_prune")
    assert seen == [("on",)]


def test_pruning_by_hand(old_ones, settings, capsys):
    flow = {"steps": "[]", "edges": "[]", "tasks": "[]"}
    going_on = SentWorkflow.objects.create(**flow)
    ended = timezone.now() - datetime.timedelta(days=2)
    SentWorkflow.objects.create(**flow, finished_at=ended)
    call_command("taskq_prune")
    assert left() == (1, [0, 2, 10])
    assert SentWorkflow.objects.get() == going_on
    said = capsys.readouterr().out
    assert (
        "2 results, 0 failed tasks, 0 idempotency keys, 0 finished tasks, 0 losses and 1 w" in said
    )
    call_command("taskq_prune", failed_ttl=3 * DAY)
    assert left() == (1, [0, 2])
    settings.TASKQ = {"FAILED_TTL": DAY}
    call_command("taskq_prune", result_ttl="0.001")
    assert left() == (0, [0])
    Task.objects.create(name="x", state=State.FAILED, failed_at=timezone.now())
    call_command("taskq_prune", failed_ttl="0", result_ttl=0)
    assert left() == (0, [])
    for wrong in ("-1", "x"):
        with pytest.raises(CommandError, match=r"--result-ttl|RESULT_TTL"):
            call_command("taskq_prune", result_ttl=wrong)
