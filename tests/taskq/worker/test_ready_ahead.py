"""While a short run is on, its worker claims one task more, and gives it to whoever is idle."""

import pytest

from pool import Others
from stress.rig.pools import wait_until
from taskq.models import State, Task
from taskq.pool_context import PoolContext
from taskq.worker import claimer
from taskq.worker.pace import QUICK, SHORT
from tests.project.lab import tasks
from tests.taskq.stepping import must_not_claim_ahead, stepwise

pytestmark = pytest.mark.postgresql


@pytest.fixture
def stepper(worker, monkeypatch):
    """Runs short tasks, which it claims one at a time, and is moved step by step."""
    with stepwise(worker.id, monkeypatch, tasks.quick.name, seconds=0.1) as one:
        yield one


def send(count, priority=0):
    """Tasks that are claimed alone, so that one claim brings one."""
    results = [tasks.quick.apply_async((n,), priority=priority) for n in range(count)]
    return [result.id.int for result in results]


def held():
    return set(Task.objects.filter(state=State.RUNNING).values_list("pk", flat=True))


@pytest.fixture
def seen(stepper, monkeypatch):
    """By task, what the worker held while it ran, and what the scoreboard said of it."""
    found = {}
    execute = stepper.execute

    def watched(task, *args):
        if stepper.batch.claims_ahead:
            wait_until(lambda: not held() & found.keys(), what="the last run's end is written")
            wait_until(lambda: len(held()) == 2 or not Task.objects.filter(state=State.READY))
        found[task.id] = held(), Others(stepper.slot.others)
        return execute(task, *args)

    monkeypatch.setattr(stepper, "execute", watched)
    return found


def test_the_next_task_is_ready_when_a_short_run_ends(stepper, seen):
    one, two, three, four = send(4)
    for _ in range(4):
        stepper.step()
    assert seen[one] == ({one, two}, Others.WAIT_UNLESS_IDLE)
    assert seen[two] == ({two, three}, Others.WAIT_UNLESS_IDLE)
    assert seen[three] == ({three, four}, Others.WAIT_UNLESS_IDLE)
    assert seen[four][0] == {four}
    stepper.step()
    assert not Task.objects.exists()


def test_the_end_of_a_run_is_written_while_the_next_one_runs(stepper, seen):
    one, two, *_ = send(3)
    stepper.step()
    stepper.step()
    assert one not in seen[two][0]


def test_it_is_no_more_than_one_out_of_its_order(stepper):
    first = send(3)
    stepper.step()
    wait_until(lambda: first[1] in held())
    urgent = send(2, priority=10)
    assert [stepper.step() for _ in range(4)] == [first[1], *urgent, first[2]]


@pytest.mark.parametrize("seconds", [SHORT + 0.1, 3600.0])
def test_nothing_is_claimed_behind_a_run_that_may_be_long(stepper, monkeypatch, seconds):
    monkeypatch.undo()
    monkeypatch.setattr(stepper.child, "wait", lambda *args: False)
    for _ in range(20):
        stepper.pace.note(tasks.quick.name, seconds, seconds)
    monkeypatch.setattr(stepper.pace, "note", lambda *args: None)
    must_not_claim_ahead(stepper, monkeypatch)
    send(3)
    for _ in range(3):
        assert stepper.step()


def test_nothing_is_claimed_behind_a_run_of_an_unknown_name(stepper, monkeypatch):
    must_not_claim_ahead(stepper, monkeypatch)
    for _ in range(2):
        tasks.noop.delay()
        assert stepper.step()


def test_nothing_is_claimed_ahead_while_another_worker_sleeps(stepper, monkeypatch):
    monkeypatch.setattr(PoolContext, "sleepers", lambda *args: iter([stepper.slot]))
    must_not_claim_ahead(stepper, monkeypatch)
    send(3)
    for _ in range(3):
        assert stepper.step()


def test_nothing_is_claimed_ahead_by_the_last_run_of_a_process(stepper, monkeypatch):
    monkeypatch.setattr(stepper.wear, "is_last_run", True)
    must_not_claim_ahead(stepper, monkeypatch)
    send(3)
    for _ in range(3):
        assert stepper.step()


def test_a_task_that_must_be_held_alone_starts_alone(stepper, seen):
    _, two, _ = send(3)
    Task.objects.filter(pk=two).update(isolated=True)
    for _ in range(3):
        stepper.step()
    assert seen[two] == ({two}, Others.NONE)


def test_a_commit_that_waits_for_the_disk_makes_no_task_slow(stepper, monkeypatch):
    """The batch is smaller instead: how long its tasks wait depends on the whole time."""
    monkeypatch.undo()
    for _ in range(20):
        stepper.pace.note("shop.tasks.order", QUICK / 10, QUICK * 2)
    assert stepper.pace.is_quick("shop.tasks.order")
    assert stepper.pace.limit() == 4


def test_a_worker_that_had_to_wait_claims_earlier(stepper, monkeypatch):
    began = stepper.claimer._ahead
    monkeypatch.setattr(claimer, "NO_WAIT", -1.0)
    send(4)
    for _ in range(3):
        stepper.step()
    assert stepper.claimer._ahead > began
    monkeypatch.setattr(claimer, "NO_WAIT", 3600.0)
    send(600)
    for _ in range(200):
        stepper.step()
    assert stepper.claimer._ahead == began
