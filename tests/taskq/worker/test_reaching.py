"""The next batch is claimed while the last tasks of this one run."""

import pytest
from django.db import connection

from stress.rig.pools import wait_until
from taskq.database_errors import DATABASE_ERRORS
from taskq.models import State, Task
from taskq.sql.postgresql.own_connection import Connection
from taskq.store.claims import Wanted
from taskq.worker import claimer
from taskq.worker.worker import Worker
from tests.project.lab import tasks
from tests.taskq.conftest import worker_of_no_pool

pytestmark = pytest.mark.postgresql

BATCH = 4


class Reaching(Worker):
    """Lives in this process, and is moved step by step."""

    def step(self):
        """Run the next task, claimed if need be; its id, None where there was none."""
        task = self.hand.take() or self.claimer.fetch()
        if task is None:
            return None
        self.perform(task)
        return task.id


@pytest.fixture
def reaching(worker, monkeypatch):
    """Runs quick tasks, four a batch, and reaches with the last two of them."""
    one = worker_of_no_pool(worker.id, worker_class=Reaching)
    monkeypatch.setattr(one.child, "wait", lambda *args: False)
    monkeypatch.setattr(one.pace, "limit", lambda: BATCH)
    monkeypatch.setattr(one.pace, "within", lambda seconds: 1)
    one.pace.note(tasks.quick.name, 0.001)
    monkeypatch.setattr(one.pace, "note", lambda *args: None)  # however slow the machine is
    yield one
    one.link.close()


def send(count):
    return [result.id.int for result in tasks.quick.delay_many([(n,) for n in range(count)])]


def until_it_reaches(worker):
    wait_until(lambda: worker.step() and worker.hand.reaching)


def fenced(caplog):
    return [record.message for record in caplog.records if "no longer" in record.message]


def test_all_run_in_their_order_and_nothing_is_left(reaching, caplog):
    ids = send(5 * BATCH + 1)
    run = []
    wait_until(lambda: run.append(reaching.step()) or run[-1] is None)
    assert run[:-1] == ids
    assert not Task.objects.exists()
    assert not fenced(caplog)


def test_it_reaches_before_the_batch_has_ended(reaching):
    send(3 * BATCH)
    until_it_reaches(reaching)
    assert reaching.hand.waiting == 1
    held = Task.objects.filter(state=State.RUNNING)
    wait_until(lambda: held.count() > BATCH, what="the next ones are claimed")


def test_it_does_not_reach_for_what_is_not_there(reaching, monkeypatch):
    send(BATCH - 1)
    monkeypatch.setattr(reaching.hand, "reach", None)  # it would fail
    wait_until(lambda: reaching.step() is None)
    assert not Task.objects.exists()


def test_a_long_run_gives_back_what_was_reached_for(reaching, caplog):
    ids = send(3 * BATCH)
    until_it_reaches(reaching)
    reaching.hand.give_back(reaching.link.leases())  # as it answers a recall
    assert set(Task.objects.values_list("pk", "state")) == {
        (pk, State.READY) for pk in ids[BATCH - 1 :]
    }
    wait_until(lambda: reaching.step() is None)
    assert not Task.objects.exists()
    assert not fenced(caplog)


def test_of_a_lease_in_doubt_nothing_more_is_run_that_was_reached_for(reaching):
    send(3 * BATCH)
    until_it_reaches(reaching)
    reaching.step()  # the last of the batch
    reaching.hand.in_doubt = True  # as an unanswered give-back leaves it
    assert reaching.claimer.fetch() is None
    assert reaching.hand.empty
    assert reaching.slot.doubtful_lease == reaching.hand.lease


def test_who_leaves_gives_back_what_was_reached_for(reaching):
    ids = send(3 * BATCH)
    until_it_reaches(reaching)
    reaching.leave()
    assert set(Task.objects.values_list("pk", "state")) == {
        (pk, State.READY) for pk in ids[BATCH - 1 :]
    }


def test_what_is_written_meanwhile_takes_in_what_was_reached_for(reaching):
    """The outcome of a run that failed, say, on the same connection."""
    ids = send(3 * BATCH)
    until_it_reaches(reaching)
    assert reaching.link.leases().finish(reaching.hand.lease, [(ids[BATCH - 1], 1)])
    run = []
    wait_until(lambda: run.append(reaching.step()) or run[-1] is None)
    assert run[1:-1] == ids[BATCH:]


def test_a_connection_that_breaks_meanwhile_leaves_the_lease_in_doubt(reaching, worker):
    """Nobody knows what was claimed: the keeper ends the lease, and all of it is given back."""
    ids = send(3 * BATCH)
    until_it_reaches(reaching)
    reaching.link.current.close()
    reaching.step()  # the last of the batch
    assert reaching.step() is None
    assert reaching.hand.in_doubt
    reaching.step()
    assert reaching.slot.doubtful_lease == worker.id
    worker.db.workers.retire(worker.id, ran=0, charge=False, cause="in doubt")
    left = Task.objects.filter(pk__in=ids)
    assert set(left.values_list("state", "losses")) == {(State.READY, 0)}


def test_a_reach_that_cannot_be_sent_harms_no_run(reaching, monkeypatch):
    send(3 * BATCH)

    def broken(*args):
        raise DATABASE_ERRORS[1]("no route")

    monkeypatch.setattr(Connection, "begin", broken)
    began = Task.objects.count()
    for _ in range(BATCH - 1):
        assert reaching.step()
    assert reaching.hand.in_doubt
    assert began - Task.objects.count() < BATCH
    assert not reaching.hand.reaching


def test_a_task_that_is_not_known_to_be_quick_is_never_run_while_others_are_reached_for(
    reaching, monkeypatch
):
    """They would wait behind it."""
    send(3 * BATCH)
    monkeypatch.setattr(reaching.pace, "is_quick", lambda name: False)
    monkeypatch.setattr(reaching.hand, "reach", None)  # it would fail
    assert reaching.step()
    assert reaching.step()


@pytest.fixture
def held(reaching, monkeypatch):
    """By task, what its worker held when it started."""
    found = {}
    execute = reaching.execute

    def watched(task, *args):
        running = Task.objects.filter(state=State.RUNNING)
        found[task.id] = set(running.values_list("pk", flat=True))
        return execute(task, *args)

    monkeypatch.setattr(reaching, "execute", watched)
    return found


@pytest.mark.parametrize("limit", [1, BATCH])
@pytest.mark.parametrize("kind", ["isolated", "not quick"])
def test_what_must_be_held_alone_is_also_when_it_was_reached_for(
    reaching, held, monkeypatch, kind, limit
):
    """Else nobody could tell, were this host lost, whether it was that task which ran."""
    monkeypatch.setattr(reaching.pace, "limit", lambda: limit)
    ids = send(BATCH)
    single = tasks.nap_once.delay("once", 0).id.int if kind == "not quick" else send(1)[0]
    ids += [single, *send(2 * BATCH)]
    Task.objects.filter(pk=single).update(isolated=kind == "isolated")
    wait_until(lambda: reaching.step() is None)
    assert set(held) == set(ids)
    assert held[single] == {single}
    assert max(map(len, held.values())) > 1


def test_what_its_row_says_must_not_be_repeated_is_held_alone_and_written_at_once(reaching, held):
    """Whatever the code here says of its name: it was sent with on_lost="fail" elsewhere."""
    ids = send(2 * BATCH)
    once = ids[1 : BATCH + 2]
    Task.objects.filter(pk__in=once).update(max_losses=0)
    while (ran := reaching.step()) is not None:
        assert ran not in once or not Task.objects.filter(pk=ran).exists()
    assert set(held) == set(ids)
    assert [held[pk] for pk in once] == [{pk} for pk in once]


def test_what_turns_out_slow_is_held_alone_from_then_on(reaching, held, monkeypatch):
    ids = send(3 * BATCH)
    until_it_reaches(reaching)
    monkeypatch.setattr(reaching.pace, "is_quick", lambda name: False)
    assert reaching.step() == ids[BATCH - 1]
    assert held[ids[BATCH - 1]] == {ids[BATCH - 1]}


@pytest.mark.parametrize("forget", ["drop", "renounce"])
def test_what_is_forgotten_is_read_all_the_same(reaching, caplog, forget):
    """Else a large answer would keep the server in the middle of the claim, holding our lease."""
    send(3 * BATCH)
    until_it_reaches(reaching)
    written = Task.objects.count()
    getattr(reaching.hand, forget)()
    assert not reaching.hand.reaching
    assert Task.objects.count() <= written
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM taskq_worker FOR UPDATE NOWAIT")
    reaching.recorder.write_finished()
    assert not fenced(caplog)


def test_who_is_in_doubt_reaches_for_nothing(reaching):
    send(2 * BATCH)
    assert reaching.step()
    reaching.hand.in_doubt = True
    db = reaching.link.leases()
    assert not reaching.hand.reach(db, Wanted(reaching.service.queues, BATCH, []))
    assert reaching.hand.give_back(db) == BATCH - 1
    assert reaching.hand.in_doubt


def test_large_arguments_are_not_claimed_ahead(reaching, monkeypatch):
    monkeypatch.setattr(claimer, "REACH_MOST", 1)
    send(2 * BATCH)
    monkeypatch.setattr(reaching.hand, "reach", None)  # it would fail
    wait_until(lambda: reaching.step() is None)
    assert not Task.objects.exists()


def test_work_left_is_reckoned_by_the_slowest_quick_task(reaching, monkeypatch):
    monkeypatch.undo()
    for seconds in (0.0001, 0.005):
        reaching.pace.note(f"task of {seconds} s", seconds)
    assert reaching.pace.within(claimer.REACH) == 2


def test_nothing_more_starts_under_a_lease_that_is_spent(reaching, caplog):
    """What is done is written under it, what waits goes back with it."""
    ids = send(3 * BATCH)
    assert reaching.step() == ids[0]
    reaching.slot.spent_lease = lease = reaching.slot.held_lease()
    for _ in range(3):
        reaching.step()
    assert reaching.slot.doubtful_lease == lease
    assert not Task.objects.filter(pk=ids[0]).exists()
    assert Task.objects.count() == 3 * BATCH - 1
    assert not fenced(caplog)
