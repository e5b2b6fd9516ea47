"""Workers of atomic tasks are killed, or lose their lease: the effects happen exactly once."""

import contextlib
import itertools
import os
import signal

import pytest

from pool import clock
from stress.project.shop.models import Order, Shipment
from stress.rig.pools import wait_until
from taskq.models import State, Task
from tests.project.lab import tasks

SHORT = ("--lease", "6", "--heartbeat", "1", "--poll", "0.5")


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)
    return clock.now()


def test_an_atomic_tasks_effects_happen_exactly_once(start_pool, runs, drained, settings):
    # A kill may come late, and hit the task that its worker has begun meanwhile: let none
    # fail for what it lost.
    settings.TASKQ = {"MAX_LOSSES": 100}
    start_pool("-c", 4, *SHORT)
    numbers = itertools.count(1)

    def order():
        number = next(numbers)
        Order.objects.create(number=number)
        tasks.ship.delay(number, 0.05)

    for _ in range(40):
        order()
    killed: set[int] = set()

    def victim():
        if not Task.objects.exists():
            order()  # the pool was quicker than we
        ended = {(record["key"], record["pid"]) for record in runs("end")}
        for record in runs("start"):
            if record["key"] not in killed and (record["key"], record["pid"]) not in ended:
                return record
        return None

    while len(killed) < 10:
        record = wait_until(victim, what="one to kill")
        killed.add(record["key"])
        with contextlib.suppress(ProcessLookupError):
            kill(record["pid"])
    drained()
    shipped = sorted(Shipment.objects.values_list("order__number", flat=True))
    assert shipped == list(range(1, next(numbers)))


def test_a_failed_atomic_task_leaves_nothing_behind(start_pool, drained):
    start_pool("-c", 1)
    Order.objects.create(number=1)
    tasks.ship.delay(1, 0.0, True)
    drained()
    assert not Shipment.objects.exists()
    assert Task.objects.failed().get().error == "ValueError: could not be shipped"


@pytest.mark.postgresql  # SQLite has one writer: while the task has the lock nobody takes it
def test_an_atomic_task_whose_lease_was_taken_is_rolled_back(start_pool, runs, drained, tmp_path):
    pool = start_pool("-c", 1)
    Order.objects.create(number=1)
    go = tmp_path / "go"
    tasks.ship.delay(1, path=str(go))
    wait_until(lambda: runs("start", 1))
    # As if another pool had reclaimed it in between.
    Task.objects.update(state=State.READY, worker=None)
    go.touch()
    wait_until(lambda: len(runs("end", 1)) == 2)
    drained()
    assert Shipment.objects.count() == 1
    pool.wait_for_log("no longer held by this worker")
