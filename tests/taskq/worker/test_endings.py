"""How runs end is written together, and with the next claim: also results, failures, retries."""

import json
import signal
from operator import itemgetter

import pytest

from pool import Death
from pool.death import Cause
from stress.rig.pools import wait_until
from taskq import signals
from taskq.conf import Settings
from taskq.models import Result, State, Task, Worker
from taskq.store import endings
from taskq.store.leases import _noted, _read
from taskq.task import payload
from taskq.worker import claimer
from tests.project.lab import tasks
from tests.taskq.leasing import locked, send
from tests.taskq.stepping import stepwise, told

KIND = "builtins.ValueError"


@pytest.fixture
def stepper(worker, monkeypatch):
    """Runs quick tasks, a hundred a batch, and is moved step by step."""
    names = (task.name for task in (tasks.add, tasks.fail, tasks.fail_and_retry))
    with stepwise(worker.id, monkeypatch, *names) as one:
        monkeypatch.setattr(one.pace, "limit", lambda: 100)
        monkeypatch.setattr(claimer, "SEEN", 3600.0)
        yield one


def values():
    return {
        id: payload.decode_result(value) for id, value in Result.objects.values_list("pk", "value")
    }


def test_results_are_written_by_the_claim_that_follows(stepper):
    ids = [tasks.add.delay(n, 1).id.int for n in range(5)]
    for id in ids:
        assert stepper.step() == id
    assert not Result.objects.exists()
    assert Task.objects.filter(state=State.RUNNING).count() == 5
    stepper.step()
    assert values() == {id: n + 1 for n, id in enumerate(ids)}
    assert not Task.objects.exists()


def test_so_are_failures_and_retries(stepper):
    good, bad, again = tasks.add.delay(1, 2), tasks.fail.delay("b"), tasks.fail_and_retry.delay("c")
    for _ in range(3):
        stepper.step()
    assert Task.objects.filter(state=State.RUNNING).count() == 3
    stepper.step()
    assert values() == {good.id.int: 3}
    failed = Task.objects.get(pk=bad.id.int)
    assert (failed.state, failed.worker_id) == (State.FAILED, None)
    assert "ValueError" in failed.error
    assert "Traceback" in failed.traceback
    retried = Task.objects.get(pk=again.id.int)
    assert (retried.state, retried.retries) == (State.READY, 1)


def test_who_hears_of_an_outcome_finds_it_written(stepper):
    with told(signals.task_succeeded, itemgetter("id")) as found:
        tasks.add.delay(1, 2)
        tasks.add.delay(1, 2)
        stepper.step()
        stepper.step()
    assert found == [True, True]


@pytest.mark.postgresql
def test_a_result_that_somebody_may_wait_for_is_sent_before_the_batch_is_over(stepper, monkeypatch):
    first, *_ = [tasks.add.delay(n, 1).id.int for n in range(5)]
    assert stepper.step() == first
    monkeypatch.setattr(claimer, "SEEN", 0.0)
    stepper.step()
    wait_until(lambda: Result.objects.filter(pk=first).exists())
    assert stepper.batch.waiting


def test_more_than_the_finish_log_holds_is_written_in_between(stepper):
    large = "x" * 60_000
    ids = [tasks.add.delay(large, str(n)).id.int for n in range(9)]
    for id in ids:
        assert stepper.step() == id
    assert 0 < Result.objects.count() < 9
    stepper.step()
    assert values() == {id: large + str(n) for n, id in enumerate(ids)}


def test_a_result_that_the_finish_log_cannot_hold_is_written_alone(stepper, settings):
    settings.TASKQ = {**settings.TASKQ, "MAX_PAYLOAD": 1_000_000}
    large = "x" * 300_000
    result = tasks.add.delay(large, "")
    tasks.add.delay(1, 2)
    stepper.step()
    assert result.result == large


# What a killed worker had ended


@pytest.fixture
def ended(held):
    """How four of them ended."""
    why = {"error": "E", "traceback": "T \u2028 \ud800".encode("utf-8", "replace").decode()}
    return [
        endings.finish(held[0]),
        endings.keep(held[1], payload.encode_result({"sum": 3})),
        endings.fail(held[2], **why, kind=KIND),
        endings.retry(held[3], when=None, delay=3600.0, **why, kind=KIND),
    ]


def check(held, name):
    ids = [id for id, _ in held]
    assert not Task.objects.filter(pk__in=ids[:2]).exists()
    assert values() == {ids[1]: {"sum": 3}}
    assert Result.objects.get().worker == name
    failed, retried, waits = (Task.objects.get(pk=id) for id in ids[2:])
    assert (failed.state, failed.error, failed.losses) == (State.FAILED, "E", 0)
    assert (retried.state, retried.retries, retried.losses) == (State.READY, 1, 0)
    assert retried.execute_at > retried.created_at
    for row in failed, retried:
        (line,) = row.history.split("\n")
        assert json.loads(line)["error"] == KIND
        assert json.loads(line)["worker"] == name
    assert (waits.state, waits.losses, waits.retries) == (State.READY, 0, 0)


@pytest.fixture
def dead(keeper, worker, ended):
    """A worker of the keeper's pool that was killed with endings that it had not written."""
    slot = keeper.scoreboard.slots[1]
    slot.grant(worker.id, slot.generation, 2**62)
    slot.finish_log.start(worker.id)
    for each in ended:
        assert slot.finish_log.add(each.id, each.attempt, each.encoded())
    death = Death(slot.index, 4711, worker.id, 0, 1, Cause.SIGNAL, signal.SIGKILL)
    keeper.scoreboard.record(death)
    slot.generation += 1


def test_the_keeper_writes_how_the_runs_of_a_dead_worker_ended(keeper, dead, held, worker):
    keeper.reclaimer.reclaim_dead()
    check(held, f"host:1/worker 1/{worker.id}")


@pytest.mark.postgresql
def test_what_is_locked_meanwhile_is_noted_with_all_that_it_leaves(
    keeper, dead, held, worker, reclaim
):
    """Another pool may write it, of which no process has seen the finish log."""
    with locked(*(id for id, _ in held[1:4])):
        keeper.reclaimer.reclaim_dead()
    assert Worker.objects.get(pk=worker.id).end_done
    reclaim()
    check(held, f"host:1/worker 1/{worker.id}")


def test_endings_of_a_lost_lease_write_nothing(worker, held, ended, new_worker):
    worker.db.leases.retire(worker.id, ran=0, charge=False, cause="killed")
    other = new_worker()
    taken = [task.run for task in other.claim(5, (tasks.quick.name,))]
    assert worker.db.end(worker.id, ended) == set()
    assert not Result.objects.exists()
    assert {row.worker_id for row in Task.objects.all()} == {other.id}
    assert other.db.end(other.id, [endings.keep(taken[1], "[[1],{}]")]) == {taken[1][0]}


def test_many_endings_find_their_own_values_whatever_their_order(worker):
    ids = [send(str(n)) for n in range(60)]
    runs = {task.id: task.run for task in worker.claim(60, (tasks.quick.name,))}
    shuffled = sorted(ids, key=lambda id: (id * 7919) % 61)
    kept, failed = shuffled[:30], shuffled[30:]
    written = [endings.keep(runs[id], payload.encode_result(id)) for id in kept]
    written += [endings.fail(runs[id], error=f"E{id}", traceback=f"T{id}") for id in failed]
    assert worker.db.end(worker.id, written) == set(ids)
    assert values() == {id: id for id in kept}
    rows = Task.objects.values_list("pk", "error", "traceback")
    assert set(rows) == {(id, f"E{id}", f"T{id}") for id in failed}


@pytest.mark.postgresql
def test_a_batch_of_results_is_one_statement(worker):
    for n in range(20):
        send(str(n))
    runs = [task.run for task in worker.claim(20, (tasks.quick.name,))]
    calls = endings.calls(
        worker.db._sql, worker.id, [endings.keep(run, "[[1],{}]") for run in runs]
    )
    assert len(calls) == 1


def test_a_note_of_endings_is_read_as_it_was_written():
    found = [endings.finish((2, 1)), endings.keep((1, 3), "[[1],{}]")]
    assert sorted(_read(_noted(found))) == sorted(found)
    assert _read('[[1, 1, "keep", []]]') == []
    assert _read('[[1, 1, "burn", []]]') == []


def test_a_run_under_a_hard_time_limit_is_written_while_the_limit_is_in_force(stepper):
    result = tasks.add.delay(1, 2)
    object.__setattr__(stepper.context, "settings", Settings(time_limit=60.0))
    stepper.step()
    assert result.result == 3


@pytest.mark.postgresql
def test_a_refused_result_among_those_that_were_sent_fails_its_task_alone(
    stepper, refusing, monkeypatch
):
    refusing("INSERT", "taskq_result", "NEW.value LIKE '%13%'")
    monkeypatch.setattr(claimer, "SEEN", 0.0)
    ids = [tasks.add.delay(n, 10).id.int for n in range(6)]
    ran = [stepper.step() for _ in range(4)]
    while not stepper.batch.in_doubt:  # as a new session has to say the same
        ran.append(stepper.step())
    stepper.step()
    assert [id for id in ran if id] == ids[: len(ran)]
    written = {id: n + 10 for n, id in enumerate(ids[: len(ran)]) if n != 3}
    assert values() == written
    (failed,) = Task.objects.failed()
    assert (failed.pk, failed.error[:28]) == (ids[3], "its outcome could not be wri")
