"""Finished tasks that are kept: written by the statement that removes the row, and exactly once."""

from __future__ import annotations

import datetime
import json
from collections import Counter

import pytest
from django.db import connection, transaction
from django.utils import timezone

from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq import sql
from taskq.celery import AsyncResult
from taskq.conf import Settings
from taskq.models import FinishedTask, Result, State, Task
from taskq.store import atomic, endings
from taskq.store.keeper_endings import end_for
from taskq.task import payload
from taskq.testing import run_all
from tests.project.lab import kept, tasks
from tests.taskq.finished import DAY, finished, today

WEEK, HALF_DAY = kept.WEEK, kept.WEEK / 14


def day_in(seconds):
    """The day on which a row expires that was written at this time or just before."""
    now = timezone.now().astimezone(datetime.UTC)
    return {(now + datetime.timedelta(seconds=seconds - ago)).date() for ago in (0, 60)}


# What is written


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("task", "value", "lifetime"),
    [
        (kept.plain, None, WEEK),
        (kept.with_result, {"key": 5}, HALF_DAY),
        (kept.place, None, WEEK),
        (kept.place_with_result, 5, WEEK),
    ],
)
def test_a_finished_run_is_kept_with_all_that_is_known_of_it(task, value, lifetime):
    sent = task.apply_async((5,), queue="reports", priority=7)
    row = Task.objects.get()
    run_all(queues="reports")
    assert not Task.objects.exists()
    kept_one = FinishedTask.objects.get()
    for name in ("id", "name", "payload", "queue", "priority", "created_at", "execute_at"):
        assert getattr(kept_one, name) == getattr(row, name), name
    assert (kept_one.attempt, kept_one.retries, kept_one.history) == (1, 0, None)
    assert kept_one.created_at <= kept_one.started_at <= kept_one.finished_at
    assert kept_one.worker.count("/") == 2
    assert kept_one.expires_on in day_in(lifetime)
    # The result has its own table and its own lifetime, as for tasks that are not kept.
    results = Result.objects.values_list("pk", "value", "worker", "started_at", "finished_at")
    if value is None:
        assert kept_one.value is None
        assert not results
    else:
        assert payload.decode_result(kept_one.value) == value
        ((*of_result, finished_at),) = results
        assert of_result == [kept_one.pk, kept_one.value, kept_one.worker, kept_one.started_at]
        assert abs(finished_at - kept_one.finished_at) < datetime.timedelta(minutes=1)
    assert sent.id.int == kept_one.pk


@pytest.mark.django_db
def test_the_runs_that_came_to_nothing_are_in_it():
    kept.second_time_lucky.delay("k")
    run_all()
    one = FinishedTask.objects.get()
    assert (one.attempt, one.retries) == (2, 1)
    (line,) = one.history.split("\n")
    assert json.loads(line)["error"] == "builtins.ValueError"


@pytest.mark.django_db
def test_the_queue_decides_unless_the_task_does(settings):
    settings.TASKQ = {"KEEP_FINISHED": {"reports": "12 hours"}}
    for task in (tasks.quick, kept.plain, kept.never):
        task.apply_async(("a",), queue="reports")
        task.apply_async(("a",), queue="others")
    run_all(queues="*")
    found = FinishedTask.objects.order_by("id").values_list("name", "queue", "expires_on")
    days = [("reports", HALF_DAY), ("reports", WEEK), ("others", WEEK)]
    names = [tasks.quick.name, kept.plain.name, kept.plain.name]
    assert len(found) == 3
    for (name, queue, day), wanted, (at, lifetime) in zip(found, names, days, strict=True):
        assert (name, queue) == (wanted, at)
        assert day in day_in(lifetime)


@pytest.mark.django_db
def test_a_failure_is_not_kept_there():
    """It stays among the tasks, where a person can retry it."""
    kept.fail.delay("k")
    run_all(propagate=False)
    assert Task.objects.get().state == State.FAILED
    assert not FinishedTask.objects.exists()


@pytest.mark.django_db
def test_the_result_of_a_kept_task_outlives_the_row_of_the_result():
    sent, quiet = kept.with_result.delay("k"), kept.plain.delay("k")
    run_all()
    Result.objects.all().delete()
    again = AsyncResult(sent.id)
    assert (again.status, again.result, again.name) == ("SUCCESS", {"key": "k"}, sent.name)
    assert again.get(timeout=1) == {"key": "k"}
    assert (quiet.status, quiet.result, quiet.args) == ("SUCCESS", None, ["k"])


# Under the fence


@pytest.fixture
def run(worker):
    kept.plain.delay("k")
    return worker.claim_one().run


def test_a_run_that_another_has_taken_over_is_not_kept(worker, new_worker, run):
    id, attempt = run
    other = new_worker()
    stale = [endings.archive((id, attempt + 1), "[1,{}]", WEEK)]
    assert worker.db.end(worker.id, stale) == set()
    assert other.db.end(other.id, [endings.archive(run, "[1,{}]", WEEK)]) == set()
    with transaction.atomic():
        own = sql.django_connection(connection)
        assert not atomic.finish(own, other.id, run, result="[1,{}]", lifetime=WEEK)
        transaction.set_rollback(True)
    assert Task.objects.get().state == State.RUNNING
    assert not FinishedTask.objects.exists()
    assert not Result.objects.exists()


def test_a_row_that_a_trigger_keeps_is_not_kept_there(worker, run, refusing):
    refusing("DELETE", "taskq_task", f"OLD.id = {run[0]}", silently=True)
    assert worker.db.end(worker.id, [endings.archive(run, "[1,{}]", WEEK)]) == set()
    assert not FinishedTask.objects.exists()
    assert not Result.objects.exists()


@pytest.mark.postgresql
def test_a_plain_table_does_too(worker, run):
    """As Django makes it in the tests of a site that runs no migrations there."""
    with transaction.atomic():
        with connection.schema_editor() as editor:
            editor.execute("CREATE SCHEMA plain")
            editor.execute("SET LOCAL search_path TO plain, public")
            editor.create_model(FinishedTask)
        own = sql.django_connection(connection)
        assert atomic.finish(own, worker.id, run, lifetime=WEEK)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM plain.taskq_finished")
            assert cursor.fetchone() == (1,)
        transaction.set_rollback(True)


def test_an_id_that_was_used_before_ends_its_task_all_the_same(worker, run):
    """The sequence of ids was set back."""
    finished(run[0], max(day_in(WEEK)), name="older")
    assert worker.db.end(worker.id, [endings.archive(run, None, WEEK)]) == {run[0]}
    assert not Task.objects.exists()
    assert FinishedTask.objects.get().name == "older"


def test_many_are_written_by_one_statement(worker, held):
    ended = [endings.archive(run, f"[{run[0]},{{}}]", WEEK) for run in held[:2]]
    ended += [endings.archive(run, None, HALF_DAY) for run in held[2:4]]
    assert len(endings.calls(worker.db._sql, worker.id, ended)) == len(worker.db._sql.ARCHIVE)
    assert worker.db.end(worker.id, ended) == {id for id, _ in held[:4]}
    assert dict(FinishedTask.objects.values_list("pk", "value")) == {
        **{id: f"[{id},{{}}]" for id, _ in held[:2]},
        **{id: None for id, _ in held[2:4]},
    }
    assert set(Result.objects.values_list("pk", flat=True)) == {id for id, _ in held[:2]}
    for id, _ in held[2:4]:
        assert FinishedTask.objects.get(pk=id).expires_on in day_in(HALF_DAY)


def test_an_ending_goes_through_the_finish_log_and_the_note_of_a_locked_one(held):
    ending = endings.archive(held[0], None, WEEK)
    assert endings.decoded([(*ending.run, ending.encoded())]) == [ending]
    assert endings.checked(*json.loads(json.dumps(ending))) == ending


def test_what_a_dead_worker_had_finished_is_kept_too(worker, held):
    ended = [endings.archive(run, None, WEEK) for run in held[:3]]
    assert end_for(worker.db, worker.id, ended) == set()
    assert end_for(worker.db, worker.id, ended) == set(), "and a second time nothing"
    assert FinishedTask.objects.count() == 3


# In pools


IMPORTS = {"TASKQ_IMPORTS": '["tests.project.lab.kept"]'}


@pytest.mark.parametrize("with_keeper", [False, True], ids=["alone", "with its keeper"])
def test_each_finished_task_is_kept_once_though_workers_were_killed(
    start_pool, runs, drained, with_keeper
):
    pool = start_pool("-c", 1, **IMPORTS)
    kept.quick_or_fatal.delay_many([(f"warm {n}",) for n in range(50)])
    drained()
    victims = [pool.children("keeper")["keeper"]] if with_keeper else []
    keys = [f"{n}" for n in range(300)]
    fatal = {"150": victims, "220": []}  # the keeper has another pid by then
    kept.quick_or_fatal.delay_many([(key, fatal.get(key)) for key in keys])
    drained()
    pool.wait_for_log("had finished and not written are written")
    found = Counter(
        payload.decode(each)[0][0]
        for each in FinishedTask.objects.values_list("payload", flat=True)
    )
    assert found == {**{key: 1 for key in keys}, **{f"warm {n}": 1 for n in range(50)}}


@pytest.mark.postgresql
def test_a_pool_makes_the_partitions_and_writes_to_them(start_pool, drained, partitions_dropped):
    pool = start_pool("-c", 1, **IMPORTS)
    pool.wait_for_log("partitions of taskq_finished: made")
    kept.plain.delay_many([(key,) for key in range(10)])
    kept.place_with_result.delay(1)
    drained()
    assert Order.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, count(*) FROM taskq_finished GROUP BY 1")
        ((name, count),) = cursor.fetchall()
    assert (name, count) in {(f"taskq_finished_{day:%Y%m%d}", 11) for day in day_in(WEEK)}


def test_the_keeper_prunes_what_is_over(start_pool, transactional_db):
    for id, days in enumerate([-1, -400, 400]):
        finished(id, today() + days * DAY)
    start_pool("-c", 1, "-Q", "none", "--lease", "6", "--heartbeat", "0.5")
    wait_until(lambda: FinishedTask.objects.count() == 1, what="old ones are pruned")


def test_settings_in_seconds():
    assert Settings(keep_finished={"a": "1 day", "b": 5}).kept_queues == {"a": 86_400.0, "b": 5.0}
