"""The next batch is claimed while the last tasks of this one run."""

import psycopg
import pytest
from django.db import connection

from stress.rig.pools import wait_until
from taskq.models import State, Task
from taskq.sql.postgresql.own_connection import Connection
from taskq.store import endings
from taskq.store.claims import ClaimRequest
from taskq.worker import claimer
from tests.project.lab import tasks
from tests.taskq.stepping import must_not_claim_ahead, stepwise

pytestmark = pytest.mark.postgresql

BATCH = 4


@pytest.fixture
def stepper(worker, monkeypatch):
    """Runs quick tasks, four a batch, and claims ahead with the last two of them."""
    with stepwise(worker.id, monkeypatch, tasks.quick.name) as one:
        monkeypatch.setattr(one.pace, "limit", lambda: BATCH)
        monkeypatch.setattr(one.pace, "within", lambda seconds: 1)
        yield one


def send(count):
    return [result.id.int for result in tasks.quick.delay_many([(n,) for n in range(count)])]


def until_it_claims_ahead(worker):
    wait_until(lambda: worker.step() and worker.batch.claims_ahead)


def fenced(caplog):
    return [record.message for record in caplog.records if "no longer" in record.message]


def test_all_run_in_their_order_and_nothing_is_left(stepper, caplog):
    ids = send(5 * BATCH + 1)
    run = []
    wait_until(lambda: run.append(stepper.step()) or run[-1] is None)
    assert run[:-1] == ids
    assert not Task.objects.exists()
    assert not fenced(caplog)


def test_it_claims_ahead_before_the_batch_has_ended(stepper):
    send(3 * BATCH)
    until_it_claims_ahead(stepper)
    assert stepper.batch.waiting == 1
    held = Task.objects.filter(state=State.RUNNING)
    wait_until(lambda: held.count() > BATCH, what="the next ones are claimed")


def test_it_does_not_claim_ahead_what_is_not_there(stepper, monkeypatch):
    send(BATCH - 1)
    must_not_claim_ahead(stepper, monkeypatch)
    wait_until(lambda: stepper.step() is None)
    assert not Task.objects.exists()


def test_a_long_run_gives_back_what_was_claimed_ahead(stepper, caplog):
    ids = send(3 * BATCH)
    until_it_claims_ahead(stepper)
    stepper.batch.give_back(stepper.session.store())  # as it answers a recall
    assert set(Task.objects.values_list("pk", "state")) == {
        (pk, State.READY) for pk in ids[BATCH - 1 :]
    }
    wait_until(lambda: stepper.step() is None)
    assert not Task.objects.exists()
    assert not fenced(caplog)


def test_of_a_lease_in_doubt_nothing_more_is_run_that_was_claimed_ahead(stepper):
    send(3 * BATCH)
    until_it_claims_ahead(stepper)
    stepper.step()  # the last of the batch
    stepper.batch.in_doubt = True  # as an unanswered give-back leaves it
    assert stepper.fetch() is None
    assert stepper.batch.empty
    assert stepper.slot.doubtful_lease == stepper.batch.lease


def test_a_worker_that_leaves_gives_back_what_was_claimed_ahead(stepper):
    ids = send(3 * BATCH)
    until_it_claims_ahead(stepper)
    stepper.leave()
    assert set(Task.objects.values_list("pk", "state")) == {
        (pk, State.READY) for pk in ids[BATCH - 1 :]
    }


def test_what_is_written_meanwhile_takes_in_what_was_claimed_ahead(stepper):
    """The outcome of a run that failed, say, on the same connection."""
    ids = send(3 * BATCH)
    until_it_claims_ahead(stepper)
    assert stepper.session.store().end(
        stepper.batch.lease, map(endings.finish, [(ids[BATCH - 1], 1)])
    )
    run = []
    wait_until(lambda: run.append(stepper.step()) or run[-1] is None)
    assert run[1:-1] == ids[BATCH:]


def test_a_connection_that_breaks_meanwhile_leaves_the_lease_in_doubt(stepper, worker):
    """Nobody knows what was claimed: the keeper ends the lease, and all of it is given back."""
    ids = send(3 * BATCH)
    until_it_claims_ahead(stepper)
    stepper.session.current.close()
    stepper.step()  # the last of the batch
    assert stepper.step() is None
    assert stepper.batch.in_doubt
    stepper.step()
    assert stepper.slot.doubtful_lease == worker.id
    worker.db.leases.retire(worker.id, ran=0, charge=False, cause="in doubt")
    left = Task.objects.filter(pk__in=ids)
    assert set(left.values_list("state", "losses")) == {(State.READY, 0)}


def test_a_claim_ahead_that_cannot_be_sent_harms_no_run(stepper, monkeypatch):
    send(3 * BATCH)

    def broken(*args):
        raise psycopg.OperationalError("no route")

    monkeypatch.setattr(Connection, "begin", broken)
    began = Task.objects.count()
    for _ in range(BATCH - 1):
        assert stepper.step()
    assert stepper.batch.in_doubt
    assert began - Task.objects.count() < BATCH
    assert not stepper.batch.claims_ahead


def test_a_task_that_may_be_long_is_never_run_while_others_are_claimed_ahead(stepper, monkeypatch):
    """They would wait behind it."""
    send(3 * BATCH)
    monkeypatch.setattr(stepper.pace, "is_quick", lambda name: False)
    monkeypatch.setattr(stepper.pace, "is_short", lambda name: False)
    must_not_claim_ahead(stepper, monkeypatch)
    assert stepper.step()
    assert stepper.step()


@pytest.fixture
def held(stepper, monkeypatch):
    """By task, what its worker held when it started."""
    found = {}
    execute = stepper.execute

    def watched(task, *args):
        running = Task.objects.filter(state=State.RUNNING)
        found[task.id] = set(running.values_list("pk", flat=True))
        return execute(task, *args)

    monkeypatch.setattr(stepper, "execute", watched)
    return found


@pytest.mark.parametrize("limit", [1, BATCH])
@pytest.mark.parametrize("kind", ["isolated", "not quick"])
def test_what_must_be_held_alone_is_also_when_it_was_claimed_ahead(
    stepper, held, monkeypatch, kind, limit
):
    """Else nobody could tell, were this host lost, whether it was that task which ran."""
    monkeypatch.setattr(stepper.pace, "limit", lambda: limit)
    ids = send(BATCH)
    single = tasks.nap_once.delay("once", 0).id.int if kind == "not quick" else send(1)[0]
    ids += [single, *send(2 * BATCH)]
    Task.objects.filter(pk=single).update(isolated=kind == "isolated")
    wait_until(lambda: stepper.step() is None)
    assert set(held) == set(ids)
    assert held[single] == {single}
    assert max(map(len, held.values())) > 1


def test_what_its_row_says_must_not_be_repeated_is_held_alone_and_written_at_once(stepper, held):
    """Whatever the code here says of its name: it was sent with on_lost="fail" elsewhere."""
    ids = send(2 * BATCH)
    once = ids[1 : BATCH + 2]
    Task.objects.filter(pk__in=once).update(max_losses=0)
    while (ran := stepper.step()) is not None:
        assert ran not in once or not Task.objects.filter(pk=ran).exists()
    assert set(held) == set(ids)
    assert [held[pk] for pk in once] == [{pk} for pk in once]


def test_what_turns_out_slow_is_held_alone_from_then_on(stepper, held, monkeypatch):
    ids = send(3 * BATCH)
    until_it_claims_ahead(stepper)
    monkeypatch.setattr(stepper.pace, "is_quick", lambda name: False)
    monkeypatch.setattr(stepper.pace, "is_short", lambda name: False)
    assert stepper.step() == ids[BATCH - 1]
    assert held[ids[BATCH - 1]] == {ids[BATCH - 1]}


@pytest.mark.parametrize("forget", ["forget_waiting", "forget_all"])
def test_what_is_forgotten_is_read_all_the_same(stepper, caplog, forget):
    """Else a large answer would keep the server in the middle of the claim, holding our lease."""
    send(3 * BATCH)
    until_it_claims_ahead(stepper)
    written = Task.objects.count()
    getattr(stepper.batch, forget)()
    assert not stepper.batch.claims_ahead
    assert Task.objects.count() <= written
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM taskq_worker FOR UPDATE NOWAIT")
    stepper.writer.write_ended()
    assert not fenced(caplog)


def test_a_worker_in_doubt_claims_nothing_ahead(stepper):
    send(2 * BATCH)
    assert stepper.step()
    stepper.batch.in_doubt = True
    db = stepper.session.store()
    assert not stepper.batch.send(db, ClaimRequest(stepper.context.queues, BATCH, []))
    assert stepper.batch.give_back(db) == BATCH - 1
    assert stepper.batch.in_doubt


def test_large_arguments_are_not_claimed_ahead(stepper, monkeypatch):
    monkeypatch.setattr(claimer, "AHEAD_MOST", 1)
    send(2 * BATCH)
    must_not_claim_ahead(stepper, monkeypatch)
    wait_until(lambda: stepper.step() is None)
    assert not Task.objects.exists()


def test_work_left_is_reckoned_by_the_slowest_quick_task(stepper, monkeypatch):
    monkeypatch.undo()
    for seconds in (0.0001, 0.005):
        stepper.pace.note(f"task of {seconds} s", seconds, seconds)
    assert stepper.pace.within(claimer.AHEAD) == 2


def test_nothing_more_starts_under_a_lease_that_is_spent(stepper, caplog):
    """What is done is written under it, what waits goes back with it."""
    ids = send(3 * BATCH)
    assert stepper.step() == ids[0]
    stepper.slot.spent_lease = lease = stepper.slot.held_lease()
    for _ in range(3):
        stepper.step()
    assert stepper.slot.doubtful_lease == lease
    assert not Task.objects.filter(pk=ids[0]).exists()
    assert Task.objects.count() == 3 * BATCH - 1
    assert not fenced(caplog)
