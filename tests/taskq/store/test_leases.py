"""What a worker does with tasks under its lease, statement by statement, on a real database."""

import datetime

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from stress.rig.pools import wait_until
from taskq.database_errors import DATABASE_ERRORS
from taskq.models import State, Task
from taskq.store import atomic
from taskq.store.claims import ClaimRequest
from taskq.task.queues import Queues
from tests.project.lab import tasks
from tests.taskq.leasing import QUICK, each_way, send

worker = each_way


# Claim


def test_claim_marks_the_task_with_worker_and_attempt(worker):
    pk = send()
    claimed = worker.claim_one()
    row = Task.objects.get()
    assert (claimed.id, claimed.attempt, claimed.name) == (pk, 1, tasks.quick.name)
    assert (row.state, row.worker_id, row.attempt) == (State.RUNNING, worker.id, 1)
    assert row.started_at is not None


def test_claim_goes_by_priority_then_due_time_then_id(worker):
    now = timezone.now()
    later, sooner = now - datetime.timedelta(seconds=5), now - datetime.timedelta(seconds=9)
    order = [
        send("high", priority=10, eta=later),
        send("early", eta=sooner),
        send("same 1", eta=later),
        send("same 2", eta=later),
        send("low", priority=-1, eta=sooner),
    ]
    assert [worker.claim_one().id for _ in order] == order


def test_a_batch_comes_in_order(worker):
    now = timezone.now()
    ids = [send(str(n), eta=now - datetime.timedelta(seconds=n)) for n in range(20)]
    assert [task.id for task in worker.claim(50, QUICK)] == ids[::-1]


def test_queues_of_one_priority_take_turns_by_their_oldest_task(worker):
    now = timezone.now()
    ids = [
        send(str(n), queue=f"q{n % 2}", eta=now - datetime.timedelta(seconds=9 - n))
        for n in range(6)
    ]
    assert [worker.claim_one().id for _ in ids] == ids


@pytest.mark.parametrize(
    ("queues", "expected"),
    [
        ("mail", {"mail"}),
        ("mail*", {"mail", "mail-slow"}),
        ("other,mail", {"other", "mail"}),
        ("", {"mail", "mail-slow", "other"}),
        ("none", set()),
    ],
)
def test_only_tasks_of_the_given_queues_are_claimed(worker, queues, expected):
    for queue in ("mail", "mail-slow", "other"):
        send(queue=queue)
    found = {task.queue for _ in range(4) for task in worker.claim(queues=queues)}
    assert found == expected


def test_future_tasks_are_left_and_their_wait_is_known(worker, db_store):
    send(countdown=50)
    assert worker.claim() == []
    (lane,) = db_store.lanes(Queues())
    assert 45 < lane.wait < 50.001  # SQLite reckons it in days, to some 10 microseconds


def test_a_due_task_behind_future_ones_of_higher_priority_is_found(worker):
    send("later", priority=50, countdown=100)
    pk = send("now")
    assert worker.claim_one().id == pk


def test_who_has_slept_hears_in_how_many_lanes_tasks_were_due(new_worker, db_store):
    worker = new_worker()
    assert not db_store.finish_and_claim(worker.id, [], ClaimRequest(Queues(), 5, QUICK)).lanes
    send("1")
    send("2", priority=7)
    send("3", queue="mail")
    send("later", queue="mail", priority=9, countdown=100)
    done = []
    for queues, lanes in (("", 3), ("mail,default", 2), ("ma*", 1)):
        result = db_store.finish_and_claim(
            worker.id, done, ClaimRequest(Queues.parse(queues), 1, QUICK)
        )
        assert (result.lanes, result.ours) == (lanes, {id for id, _ in done}), queues
        done = [result.tasks[0].run]


def test_expired_tasks_are_claimed_to_be_dropped(worker):
    send(expires=0.0)
    assert worker.claim_one().expired


def test_a_claim_goes_on_where_the_last_of_its_lane_ended(worker, db_store):
    ids = [send(str(n)) for n in range(6)]
    (lane,) = db_store.lanes(Queues())
    assert [task.id for task in db_store.claim(worker.id, lane, 4, QUICK)] == ids[:4]
    assert [task.id for task in db_store.claim(worker.id, lane, 4, QUICK)] == ids[4:]


@pytest.mark.postgresql
def test_what_lands_behind_the_mark_is_found_by_the_next_look(worker, db_store):
    """A late commit, a retry, a task given back."""
    ids = [send(str(n)) for n in range(6)]
    (lane,) = db_store.lanes(Queues())
    first = db_store.claim(worker.id, lane, 4, QUICK)
    db_store.give_back(worker.id, [first[0].run])
    assert [task.id for task in db_store.claim(worker.id, lane, 4, QUICK)] == ids[4:]
    assert worker.claim_one().id == ids[0]


def test_finishing_and_claiming_happen_together(worker, db_store):
    ids = [send(str(n)) for n in range(4)]
    (lane,) = db_store.lanes(Queues())
    done = [task.run for task in db_store.claim(worker.id, lane, 2, QUICK)]
    ours, tasks, *_ = db_store.finish_and_claim(worker.id, done, ClaimRequest(lane, 5, QUICK))
    assert ours == set(ids[:2])
    assert [task.id for task in tasks] == ids[2:]
    assert Task.objects.count() == 2


def test_finishing_and_claiming_happen_both_or_neither(worker, db_store):
    send()
    send("b")
    (lane,) = db_store.lanes(Queues())
    done = [worker.claim_one().run]
    lane.due, lane.id = "no date", 2**70  # what PostgreSQL refuses, and SQLite
    with pytest.raises((*DATABASE_ERRORS, OverflowError)):
        db_store.finish_and_claim(worker.id, done, ClaimRequest(lane, 5, QUICK))
    assert Task.objects.filter(pk=done[0][0]).exists()
    assert db_store.finish(worker.id, done) == {done[0][0]}


def test_runs_of_different_attempts_are_finished_together(worker, db_store):
    first, second = send(), send("b")
    db_store.give_back(worker.id, [worker.claim_one().run])
    runs = [task.run for task in worker.claim(5, QUICK)]
    assert sorted(runs) == [(first, 2), (second, 1)]
    assert db_store.finish(worker.id, runs) == {first, second}
    assert not Task.objects.exists()


def test_two_workers_never_claim_the_same_task(worker, new_worker):
    for n in range(10):
        send(str(n))
    other = new_worker()
    mine, theirs = worker.claim(5, QUICK), other.claim(50, QUICK)
    assert not {task.id for task in mine} & {task.id for task in theirs}
    assert len(mine) + len(theirs) == 10


def test_a_task_not_known_to_be_quick_is_claimed_alone(worker):
    for n in range(3):
        send(str(n))
    assert len(worker.claim(50)) == 1


def test_a_batch_ends_before_the_first_task_that_is_not_quick(worker):
    first, second = send("1"), send("2")
    tasks.nap.delay("slow", 1)
    send("3")
    assert [task.id for task in worker.claim(50, QUICK)] == [first, second]
    assert [task.name for task in worker.claim(50, QUICK)] == [tasks.nap.name]


def test_a_task_that_once_lost_its_worker_is_claimed_alone(worker):
    ids = [send(str(n)) for n in range(3)]
    Task.objects.filter(pk=ids[1]).update(isolated=True)
    assert [[task.id for task in worker.claim(50, QUICK)] for _ in ids] == [[pk] for pk in ids]


@pytest.mark.parametrize("max_losses", [0, -1])
def test_a_task_whose_row_allows_no_loss_is_claimed_alone(worker, max_losses):
    ids = [send(str(n)) for n in range(3)]
    Task.objects.filter(pk=ids[1]).update(max_losses=max_losses)
    batches = [worker.claim(50, QUICK) for _ in ids]
    assert [[task.id for task in batch] for batch in batches] == [[pk] for pk in ids]
    assert [batch[0].alone for batch in batches] == [False, True, False]


def test_a_worker_without_a_good_lease_claims_nothing(new_worker, db_store):
    send()
    late = new_worker(lease=0.0)
    assert late.claim() == []
    gone = new_worker(pid=3)
    db_store.leases.retire(gone.id, ran=0, charge=False, cause="")
    assert gone.claim() == []


# Finish, retry, fail, release: each fenced


def test_finish_removes_the_rows_and_names_them(worker):
    for n in range(3):
        send(str(n))
    claimed = worker.claim(50, QUICK)
    assert worker.db.finish(worker.id, [task.run for task in claimed]) == {
        task.id for task in claimed
    }
    assert not Task.objects.exists()


WRITES = {
    "finish": lambda db, worker, run: bool(db.finish(worker, [run])),
    "give back": lambda db, worker, run: bool(db.give_back(worker, [run])),
    "retry": lambda db, worker, run: db.retry(
        worker, run, when=None, delay=0, error="", traceback=""
    ),
    "fail": lambda db, worker, run: db.fail(worker, run, error="", traceback=""),
    "defer": lambda db, worker, run: db.defer(worker, run, 1.0),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_touches_nothing_once_the_lease_was_taken(worker, new_worker, write):
    send()
    task = worker.claim_one()
    worker.db.leases.retire(worker.id, ran=task.id, charge=True, cause="killed")
    before = Task.objects.values().get()
    assert not write(worker.db, worker.id, task.run)
    assert Task.objects.values().get() == before
    # Nor once another has it.
    other = new_worker()
    again = other.claim_one()
    assert not write(worker.db, worker.id, task.run)
    assert not write(worker.db, worker.id, again.run)
    assert not write(worker.db, other.id, task.run), "an earlier attempt of the same worker"
    assert write(worker.db, other.id, again.run)


@pytest.mark.parametrize("direct", [True, False], ids=["alone", "pooler"])
def test_finish_within_a_transaction_is_fenced_too(worker, new_worker, direct):
    send()
    task, other = worker.claim_one(), new_worker()
    with transaction.atomic():
        assert not atomic.finish_within(connection, other.id, task.run, direct=direct)
        transaction.set_rollback(True)
    assert Task.objects.exists()
    with transaction.atomic():
        assert atomic.finish_within(connection, worker.id, task.run, direct=direct)
    assert not Task.objects.exists()


@pytest.mark.parametrize("direct", [True, False], ids=["alone", "pooler"])
def test_a_transaction_that_will_be_rolled_back_finishes_nothing(worker, direct):
    """Else the task would be held as running for ever by a worker that has done with it."""
    send()
    task = worker.claim_one()
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            atomic.finish_within(connection, worker.id, task.run, direct=direct)
    assert Task.objects.exists()


def test_retry_waits_counts_and_remembers_why(worker):
    send()
    task = worker.claim_one()
    assert worker.db.retry(worker.id, task.run, when=None, delay=30.0, error="E", traceback="T")
    row = Task.objects.get()
    assert (row.state, row.retries, row.error, row.traceback) == (State.READY, 1, "E", "T")
    assert row.worker_id is None
    wait = (row.execute_at - timezone.now()).total_seconds()
    assert 25 < wait <= 30


def test_retry_at_a_given_time(worker):
    send()
    when = timezone.now().replace(microsecond=123456) + datetime.timedelta(hours=1)
    worker.db.retry(worker.id, worker.claim_one().run, when=when, delay=0.0, error="", traceback="")
    assert Task.objects.get().execute_at == when


def test_fail_keeps_the_task_for_a_person(worker):
    send()
    worker.db.fail(worker.id, worker.claim_one().run, error="E", traceback="T")
    row = Task.objects.failed().get()
    assert (row.error, row.traceback, row.worker_id) == ("E", "T", None)
    assert row.failed_at is not None


def test_a_retry_neither_expires_nor_is_unknown_any_more(worker):
    pk = tasks.quick.apply_async(("a",), expires=3600).id.int
    worker.db.defer(worker.id, worker.claim_one().run, 0.0)
    again = wait_until(worker.claim)[0]
    assert Task.objects.get().expires_at is not None, "it has yet to start"
    worker.db.retry(worker.id, again.run, when=None, delay=0.0, error="", traceback="")
    row = Task.objects.get(pk=pk)
    assert (row.expires_at, row.unknown_since) == (None, None)


def test_given_back_tasks_keep_their_place_and_are_not_charged(worker):
    ids = [send(str(n)) for n in range(3)]
    claimed = worker.claim(50, QUICK)
    worker.db.give_back(worker.id, [task.run for task in claimed])
    assert [worker.claim_one().id for _ in ids] == ids
    assert set(Task.objects.values_list("losses", "retries", "isolated")) == {(0, 0, False)}


def test_deferred_tasks_remember_since_when_they_are_unknown(worker):
    pk = send()
    worker.db.defer(worker.id, worker.claim_one().run, 0.0)
    first = Task.objects.get().unknown_since
    again = wait_until(worker.claim)[0]
    assert again.id == pk
    assert again.unknown_for is not None
    worker.db.defer(worker.id, again.run, 5.0)
    assert Task.objects.get().unknown_since == first
