"""What a worker has done is known outside of it: a task that is done does not run again because
its worker died before that was written."""

import logging
import signal
import subprocess
from datetime import timedelta

import pytest
from django.utils import timezone

from pool import Cause, Death, clock, kernel
from pool.finish_log import ROOM
from stress.rig.pools import wait_until
from taskq.models import State, Task, Worker
from taskq.store import endings
from taskq.store.keeper_endings import end_for
from taskq.store.refusals import NEVER
from taskq.worker import pace
from tests.taskq.leasing import locked


def retire(worker, runs, ran=0):
    done = list(map(endings.finish, runs))
    locked = end_for(worker.db, worker.id, done)
    return worker.db.leases.retire(
        worker.id, ran=ran, charge=True, cause="killed", done=done, locked=locked
    )


def left():
    return set(Task.objects.values_list("pk", "state", "losses"))


def test_what_the_dead_had_finished_is_written_and_the_rest_is_given_back(worker, held):
    *done, ran, waited = held
    assert retire(worker, done, ran=ran[0]).complete
    assert left() == {(ran[0], State.READY, 1), (waited[0], State.READY, 0)}


def test_a_run_that_was_over_when_its_worker_died_is_charged_nothing(worker, held):
    retire(worker, held, ran=held[-1][0])
    assert not Task.objects.exists()


def test_an_entry_of_an_earlier_attempt_writes_nothing(worker, held):
    id, attempt = held[0]
    retire(worker, [(id, attempt - 1), (id, attempt + 1)])
    assert (id, State.READY, 0) in left()


def test_an_entry_that_is_written_already_harms_nothing(worker, held, new_worker):
    """As of one that died between the answer of the database and its note of it."""
    worker.db.end(worker.id, map(endings.finish, held[:2]))
    assert retire(worker, held[:3]).complete
    assert left() == {(id, State.READY, 0) for id, _ in held[3:]}


def test_what_another_has_taken_over_is_not_written(worker, held, new_worker):
    retire(worker, [])
    other = new_worker()
    (taken,) = other.claim(1)
    assert retire(worker, held) is None
    assert Task.objects.get(pk=taken.id).state == State.RUNNING
    assert Task.objects.count() == len(held)


def test_what_the_database_refuses_fails_that_task_alone(worker, held, refusing):
    """As its worker would have it: else the dead worker would hold the rest for ever."""
    refusing("DELETE", "taskq_task", f"OLD.id = {held[1][0]}")
    assert retire(worker, held[:3]).complete
    (failed,) = Task.objects.failed()
    assert failed.pk == held[1][0]
    assert failed.error == "its outcome could not be written: the site has its own ideas"
    assert left() - {(failed.pk, State.FAILED, 0)} == {(id, State.READY, 0) for id, _ in held[3:]}


def test_what_the_database_keeps_silently_fails_that_task_alone(worker, held, refusing):
    refusing("DELETE", "taskq_task", f"OLD.id = {held[1][0]}", silently=True)
    assert retire(worker, held[:3]).complete
    (failed,) = Task.objects.failed()
    assert failed.pk == held[1][0]
    assert "the database keeps the row as it is" in failed.error
    assert left() - {(failed.pk, State.FAILED, 0)} == {(id, State.READY, 0) for id, _ in held[3:]}


@pytest.mark.postgresql
def test_what_is_done_and_locked_is_left_until_it_can_be_written(worker, held):
    """By a cancel in a transaction that is open, say. Taken back, it would run again."""
    with locked(held[0][0]):
        assert not retire(worker, held[:2]).complete
    assert (held[0][0], State.RUNNING, 0) in left()
    assert retire(worker, held[:2]).complete
    assert left() == {(id, State.READY, 0) for id, _ in held[2:]}


# The keeper


def die(keeper, slot, lease):
    """As the supervisor records it; the slot is another child's from now on."""
    ran = slot.task_id
    keeper.scoreboard.record(Death(slot.index, 4711, lease, ran, 1, Cause.SIGNAL, signal.SIGKILL))
    slot.generation += 1
    slot.task_id = 0


@pytest.fixture
def dead(keeper, worker, held):
    """A worker of the keeper's pool that was killed with runs that it had not written."""
    slot = keeper.scoreboard.slots[1]
    slot.grant(worker.id, slot.generation, 2**62)
    slot.finish_log.start(worker.id)
    for run in held[:3]:
        slot.finish_log.add(*run)
    die(keeper, slot, worker.id)
    return slot


def test_who_buries_a_worker_writes_what_it_had_done(keeper, dead, held, caplog):
    caplog.set_level(logging.INFO, "taskq")
    keeper.reclaimer.reclaim_dead()
    assert left() == {(id, State.READY, 0) for id, _ in held[3:]}
    assert "3 tasks that a worker had finished and not written are written" in caplog.text


def test_who_ends_a_doubtful_lease_writes_what_was_done_under_it(keeper, worker, held):
    slot = keeper.scoreboard.slots[1]
    slot.grant(worker.id, slot.generation, 2**62)
    slot.finish_log.start(worker.id)
    slot.finish_log.add(*held[0])
    slot.doubtful_lease = worker.id
    keeper.leases.give()
    assert left() == {(id, State.READY, 0) for id, _ in held[1:]}


def test_what_is_held_by_who_was_stopped_between_two_runs_is_taken_back(keeper, worker, held):
    """Its lease ran out, and nothing ends a child that is idle."""
    stopped = subprocess.Popen(["sleep", "600"])
    stopped.send_signal(signal.SIGSTOP)
    wait_until(lambda: not kernel.is_running(stopped.pid))
    slot = keeper.scoreboard.slots[1]
    slot.pid = stopped.pid
    slot.grant(worker.id, slot.generation, clock.now())
    slot.finish_log.start(worker.id)
    slot.finish_log.add(*held[0])
    keeper.leases.give()
    stopped.kill()
    stopped.wait()
    assert left() == {(id, State.READY, 0) for id, _ in held[1:]}
    assert slot.held_lease() == 0, "there is nobody to use it"


def test_a_slot_gets_no_new_lease_before_what_stands_there_is_written(keeper, dead, worker, held):
    """Its next child overwrites that. The keeper that would have written it may be dead."""
    keeper.leases.give()
    assert dead.held_lease() == 0
    keeper.reclaimer.reclaim_dead()
    keeper.leases.give()
    assert dead.held_lease() not in (0, worker.id)
    assert left() == {(id, State.READY, 0) for id, _ in held[3:]}


@pytest.mark.postgresql
def test_a_dead_worker_that_is_buried_in_two_passes_keeps_what_it_had_done(keeper, dead, held):
    """Though the next child of its slot works by then."""
    with locked(held[0][0]):
        keeper.reclaimer.reclaim_dead()
    keeper.leases.give()
    dead.finish_log.start(dead.held_lease())
    dead.finish_log.add(1, 1)
    keeper.reclaimer.reclaim_dead(last=True)
    assert left() == {(id, State.READY, 0) for id, _ in held[3:]}


@pytest.mark.postgresql
def test_what_is_done_and_locked_is_known_to_whoever_takes_back_the_rest(
    keeper, dead, worker, held, reclaim, caplog
):
    """The keeper that knew may be killed, and other pools are as quick."""
    caplog.set_level(logging.INFO, "taskq")
    with locked(held[0][0]):
        keeper.reclaimer.reclaim_dead()
        reclaim()
    assert left() == {
        (held[0][0], State.RUNNING, 0),
        *((id, State.READY, 0) for id, _ in held[3:]),
    }
    assert "ran out" not in caplog.text, "its lease is not retired yet"
    reclaim()
    assert left() == {(id, State.READY, 0) for id, _ in held[3:]}
    assert not Worker.objects.filter(pk=worker.id).exists()


@pytest.mark.postgresql
def test_what_is_locked_is_looked_at_again_soon_and_then_ever_later(
    keeper, dead, held, monkeypatch
):
    """A transaction that ends in a moment costs no heartbeat, and one that stays open costs next
    to no statements."""
    with locked(held[0][0]), monkeypatch.context() as patch:
        now, looks = clock.now(), []
        patch.setattr(clock, "now", lambda: now)
        for _ in range(4):
            keeper.reclaimer.reclaim_dead(last=True)
            looks.append((keeper.reclaimer.dead_due - now) / clock.SECOND)
    assert looks[0] <= 0.05
    assert looks[1] < looks[2] < looks[3] <= keeper.settings.heartbeat
    wait_until(lambda: clock.now() >= keeper.reclaimer.dead_due)
    keeper.reclaimer.reclaim_dead()
    assert left() == {(id, State.READY, 0) for id, _ in held[3:]}
    assert keeper.reclaimer.dead_due == NEVER


@pytest.mark.postgresql
def test_what_is_done_and_locked_as_its_worker_gets_another_lease_does_not_run_again(
    keeper, worker, held, reclaim
):
    slot = keeper.scoreboard.slots[1]
    slot.grant(worker.id, slot.generation, 2**62)
    slot.finish_log.start(worker.id)
    slot.finish_log.add(*held[0])
    slot.doubtful_lease = worker.id
    with locked(held[0][0]):
        keeper.leases.give()
    slot.finish_log.start(slot.held_lease())
    reclaim()
    assert left() == {(id, State.READY, 0) for id, _ in held[1:]}
    assert not Worker.objects.filter(pk=worker.id).exists()


@pytest.mark.postgresql
def test_who_looked_before_that_was_noted_takes_it_back_no_more_than_others(
    keeper, dead, worker, held
):
    with locked(held[0][0]):
        keeper.reclaimer.reclaim_dead()
    late = {"ran": None, "charge": True, "cause": "late", "expired_only": True}
    assert not worker.db.leases.retire(worker.id, **late).complete
    assert (held[0][0], State.RUNNING, 0) in left()


def test_a_note_that_somebody_wrote_by_hand_stops_nobody(worker, held, reclaim):
    past = timezone.now() - timedelta(seconds=1)
    Worker.objects.filter(pk=worker.id).update(lease_expires_at=past, end_done='[[1e999, "a"], 7]')
    reclaim()
    assert {state for _, state, _ in left()} == {State.READY}


def test_there_is_room_for_a_batch_and_for_all_that_is_claimed_ahead():
    """What is put off while a claim is on its way, and after that."""
    assert ROOM >= 2 * pace.MOST + 1
