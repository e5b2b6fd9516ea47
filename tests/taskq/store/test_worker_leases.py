"""The leases of workers: given, renewed, retired; statement by statement, on a real database."""

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from stress.rig.pools import wait_until
from taskq.models import State, Task, Worker
from taskq.store import endings
from tests.project.lab import tasks
from tests.taskq.leasing import QUICK, each_way, locked, send

worker = each_way


# A worker's lease


def test_register_gives_each_process_its_lease(db_store):
    given = db_store.leases.give("host:9", "host", [("keeper", 7), ("worker 1", 8)], 1000.0)
    rows = {worker.pid: worker for worker in Worker.objects.all()}
    assert given == {7: rows[7].pk, 8: rows[8].pk}
    assert rows[8].name == "worker 1"
    left = (rows[8].lease_expires_at - timezone.now()).total_seconds()
    assert 900 < left <= 1000.1
    assert rows[7].serves == rows[8].serves == "*"


def test_renew_extends_good_leases_and_never_revives_ended_ones(new_worker, db_store):
    good, ended = new_worker(2, 60.0), new_worker(3, 0.0)
    assert db_store.leases.renew([good.id, ended.id, 10**9], 600.0).kept == {good.id: 2}
    left = Worker.objects.get(pk=good.id).lease_expires_at - timezone.now()
    assert left.total_seconds() > 500
    assert db_store.leases.expired() == {ended.id: []}


def test_a_renewal_says_whether_any_lease_has_run_out(new_worker, db_store):
    """Of any pool. Where nothing was renewed, nobody knows."""
    ours, other = new_worker(2, 60.0), new_worker(3, 60.0)
    assert not db_store.leases.renew([ours.id], 60.0).expired
    assert db_store.leases.renew([], 60.0).expired
    Worker.objects.filter(pk=other.id).update(lease_expires_at=timezone.now())
    assert db_store.leases.renew([ours.id], 60.0).expired


def test_an_id_is_never_given_twice_also_where_history_goes_back(db_store):
    """As after a restore: the table is as it was before, and the database's sequences too."""
    given = []
    for _ in range(3):
        given += db_store.leases.give("host:9", "host", [("w", 7), ("w", 8)], 9.0).values()
        Worker.objects.all().delete()
        with connection.cursor() as cursor:
            for name in sequences(cursor):
                cursor.execute(name)
    assert len(set(given)) == 6
    assert all(0 < worker < 2**62 for worker in given)


def sequences(cursor):
    """Statements that set back what counts the rows of workers."""
    if connection.vendor == "sqlite":
        cursor.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'")
        there = cursor.fetchone()[0]
        return ["DELETE FROM sqlite_sequence WHERE name = 'taskq_worker'"] if there else []
    cursor.execute("SELECT pg_get_serial_sequence('taskq_worker', 'id')")
    (name,) = cursor.fetchone()
    return [f"ALTER SEQUENCE {name} RESTART"] if name else []


def test_a_row_that_a_person_writes_gets_such_an_id_too(transactional_db):
    values = "('p', 'w', 'h', 1, '2020-01-01')"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO taskq_worker (pool, name, host, pid, lease_expires_at) "
            f"VALUES {values}, {values}"
        )
    ids = Worker.objects.values_list("pk", flat=True)
    assert len({id for id in ids if 2**32 < id < 2**62}) == 2


# Retire: what becomes of the tasks of a worker that is gone


def retire(worker, **options):
    given = {"ran": 0, "charge": True, "cause": "killed by SIGKILL", **options}
    return worker.db.leases.retire(worker.id, **given)


def test_the_task_that_ran_is_charged_and_its_neighbors_are_not(worker):
    ids = [send(str(n)) for n in range(3)]
    worker.claim(50, QUICK)
    retired = retire(worker, ran=ids[0])
    assert retired.complete
    assert {task.id: task.blamed for task in retired.tasks} == {
        ids[0]: True,
        ids[1]: False,
        ids[2]: False,
    }
    rows = Task.objects.in_bulk()
    assert [rows[pk].losses for pk in ids] == [1, 0, 0]
    assert [rows[pk].isolated for pk in ids] == [True, False, False]
    assert rows[ids[0]].error == "killed by SIGKILL"
    assert {row.state for row in rows.values()} == {State.READY}
    assert not Worker.objects.exists()


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "unseen"])
def test_what_ran_expires_no_more_when_its_worker_is_lost(worker, seen):
    ids = [tasks.quick.apply_async((str(n),), expires=3600).id.int for n in range(3)]
    worker.claim(50, [tasks.quick.name])
    retire(worker, ran=ids[0] if seen else None)
    expire = [row.expires_at is not None for row in Task.objects.order_by("pk")]
    assert expire == ([False, True, True] if seen else 3 * [False])


def test_what_had_expired_when_it_was_claimed_is_dropped_also_after_a_loss(worker, new_worker):
    tasks.quick.apply_async(("a",), expires=0.001)
    wait_until(lambda: Task.objects.filter(expires_at__lt=Now()).exists())
    assert worker.claim_one().expired
    retire(worker, ran=None)
    assert new_worker().claim_one().expired


def test_a_lost_task_is_due_at_once(worker, new_worker):
    pk = send()
    retire(worker, ran=worker.claim_one().id)
    assert new_worker().claim_one().id == pk


def test_the_third_loss_fails_the_task_with_its_cause(new_worker):
    pk = send()
    for pid in (11, 12, 13):
        worker = new_worker(pid)
        retired = retire(worker, ran=worker.claim_one().id, cause=f"exit code {pid}")
        assert [task.failed for task in retired.tasks] == [pid == 13]
    row = Task.objects.failed().get()
    assert (row.pk, row.losses, row.error) == (pk, 3, "exit code 13")


def test_a_blameless_end_is_not_charged(worker):
    send()
    retire(worker, ran=worker.claim_one().id, charge=False)
    row = Task.objects.get()
    assert (row.state, row.losses, row.error) == (State.READY, 0, "")


@pytest.mark.parametrize("charge", [True, False])
def test_on_lost_fail_holds_an_interrupted_task_for_a_person(worker, charge):
    tasks.nap_once.delay("a", 1)
    retire(worker, ran=worker.claim_one().id, charge=charge)
    row = Task.objects.failed().get()
    assert row.error == "killed by SIGKILL"


def test_on_lost_fail_gives_back_a_task_that_was_not_started(worker):
    tasks.nap_once.delay("a", 1)
    worker.claim_one()
    retire(worker, ran=0)
    assert Task.objects.pending().count() == 1


def test_when_nobody_saw_a_task_held_alone_is_charged(worker):
    send()
    worker.claim_one()
    retire(worker, ran=None)
    assert Task.objects.get().losses == 1


def test_when_nobody_saw_a_batch_is_isolated_and_not_charged(worker, new_worker):
    for n in range(3):
        send(str(n))
    worker.claim(50, QUICK)
    retire(worker, ran=None)
    assert set(Task.objects.values_list("losses", "isolated")) == {(0, True)}
    assert len(new_worker().claim(50, QUICK)) == 1


def test_expired_only_leaves_a_renewed_worker_alone(worker):
    send()
    worker.claim_one()
    assert retire(worker, expired_only=True) is None
    assert Task.objects.get().state == State.RUNNING


def test_retiring_twice_does_nothing_the_second_time(worker):
    send()
    retire(worker, ran=worker.claim_one().id)
    assert retire(worker) is None
    assert Task.objects.get().losses == 1


# A task that somebody has locked is left for the next time


@pytest.fixture
def batch(worker):
    """Three tasks that a worker holds."""
    ids = [send(str(n)) for n in range(3)]
    assert len(worker.claim(50, QUICK)) == 3
    return ids


@pytest.mark.postgresql
@pytest.mark.parametrize("left", [0, 2])
def test_what_was_not_charged_at_first_is_not_charged_as_the_last_one_left(worker, batch, left):
    with locked(batch[left]):
        assert not retire(worker, ran=None).complete
    assert retire(worker, ran=None).complete
    assert set(Task.objects.values_list("state", "losses", "isolated")) == {(State.READY, 0, True)}


@pytest.mark.postgresql
@pytest.mark.parametrize("left", [0, 2])
def test_another_keeper_ends_what_one_began_and_decides_nothing_anew(
    worker, new_worker, batch, left
):
    """The keeper that saw the death is killed, and only the lease tells of it."""
    Task.objects.update(max_losses=1)
    with locked(batch[left]):
        assert not retire(worker, ran=batch[0], cause="exit code 7").complete
    assert worker.id in new_worker().db.leases.expired()
    assert retire(worker, ran=None, cause="lease ran out", expired_only=True).complete
    assert list(Task.objects.order_by("pk").values_list("state", "losses", "error")) == [
        (State.FAILED, 1, "exit code 7"),
        (State.READY, 0, ""),
        (State.READY, 0, ""),
    ]


@pytest.mark.postgresql
def test_what_an_unsure_worker_gave_up_is_not_charged_when_it_is_taken_back_later(worker):
    pk = send()
    worker.claim_one()
    with locked(pk):
        assert not retire(worker, ran=0, charge=False, cause="the connection was lost").complete
    retire(worker, ran=None, cause="lease ran out", expired_only=True)
    row = Task.objects.get()
    assert (row.state, row.losses, row.isolated) == (State.READY, 0, False)


# Tasks whose worker is in no table


def test_a_worker_that_holds_tasks_and_is_gone_is_put_back(worker, db_store):
    send()
    worker.claim_one()
    assert db_store.leases.restore_missing(30.0) == []
    Worker.objects.all().delete()
    assert db_store.leases.restore_missing(0.0) == [worker.id]
    assert db_store.leases.restore_missing(0.0) == []
    assert db_store.leases.expired() == {worker.id: []}
    assert retire(worker, ran=None, cause="lease ran out", expired_only=True).complete
    row = Task.objects.get()
    assert (row.state, row.losses, row.error) == (State.READY, 1, "lease ran out")


def test_a_worker_that_is_still_there_renews_the_lease_that_was_put_back(worker, db_store):
    task = send()
    attempt = worker.claim_one().attempt
    Worker.objects.all().delete()
    db_store.leases.restore_missing(30.0)
    assert db_store.leases.renew([worker.id], 30.0).kept == {worker.id: 0}
    assert db_store.end(worker.id, [endings.finish((task, attempt))]) == {task}


def test_running_tasks_of_nobody_get_a_worker_and_are_taken_back_with_it(worker, db_store):
    for n in range(2):
        send(str(n))
    worker.claim(50, QUICK)
    Task.objects.update(worker=None)
    (unknown,) = db_store.leases.restore_missing(0.0)
    assert set(Task.objects.values_list("worker", flat=True)) == {unknown}
    db_store.leases.retire(unknown, ran=None, charge=True, cause="lease ran out")
    assert set(Task.objects.values_list("state", "losses", "isolated")) == {(State.READY, 0, True)}


def test_the_dead_worker_of_a_pool_is_buried_also_when_its_row_is_gone(worker):
    pk = send()
    worker.claim_one()
    Worker.objects.all().delete()
    assert retire(worker, ran=pk, cause="exit code 7").complete
    row = Task.objects.get()
    assert (row.state, row.losses, row.error) == (State.READY, 1, "exit code 7")
    assert not Worker.objects.exists()
