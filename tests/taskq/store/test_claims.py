"""What a worker claims under its lease, statement by statement, on a real database."""

import datetime

import pytest
from django.utils import timezone

from taskq.database_errors import DATABASE_ERRORS
from taskq.models import State, Task
from taskq.store import endings
from taskq.store.claims import ClaimRequest
from taskq.task.queues import Queues
from tests.project.lab import tasks
from tests.taskq.leasing import QUICK, each_way, send

worker = each_way


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
    assert not db_store.end_and_claim(worker.id, [], ClaimRequest(Queues(), 5, QUICK)).lanes
    send("1")
    send("2", priority=7)
    send("3", queue="mail")
    send("later", queue="mail", priority=9, countdown=100)
    done = []
    for queues, lanes in (("", 3), ("mail,default", 2), ("ma*", 1)):
        result = db_store.end_and_claim(
            worker.id, map(endings.finish, done), ClaimRequest(Queues.parse(queues), 1, QUICK)
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
    ours, tasks, *_ = db_store.end_and_claim(
        worker.id, map(endings.finish, done), ClaimRequest(lane, 5, QUICK)
    )
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
        db_store.end_and_claim(worker.id, map(endings.finish, done), ClaimRequest(lane, 5, QUICK))
    assert Task.objects.filter(pk=done[0][0]).exists()
    assert db_store.end(worker.id, map(endings.finish, done)) == {done[0][0]}


def test_runs_of_different_attempts_are_finished_together(worker, db_store):
    first, second = send(), send("b")
    db_store.give_back(worker.id, [worker.claim_one().run])
    runs = [task.run for task in worker.claim(5, QUICK)]
    assert sorted(runs) == [(first, 2), (second, 1)]
    assert db_store.end(worker.id, map(endings.finish, runs)) == {first, second}
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
