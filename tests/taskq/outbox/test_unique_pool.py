"""Unique tasks, called by many at once while a pool runs them."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connections, transaction
from django.db.models.functions import Now

from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.models import Task
from tests.project.lab import tasks as lab
from tests.taskq.waking import asleep, crowded_out, ring


def storm(threads, call, seconds):
    """Call again and again from so many threads, each in its own transactions."""
    until = time.monotonic() + seconds

    def one(number):
        try:
            while time.monotonic() < until:
                call(number)
        finally:
            connections.close_all()

    running = [threading.Thread(target=one, args=[number]) for number in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()


def test_a_run_sees_what_all_have_committed_that_joined_it(start_pool, runs, drained):
    start_pool("-c", 2)
    numbers = iter(range(10**6))

    def order(number):
        with transaction.atomic():
            if number % 2:
                Order.objects.create(number=next(numbers))
                lab.count_orders.delay("a")
            else:
                # Before its change: the call is the first thing that it does.
                lab.count_orders.delay("a")
                Order.objects.create(number=next(numbers))
            time.sleep(0.002)
        time.sleep(0.01)

    storm(4, order, 1.5)
    drained()
    seen = runs("seen", "a")
    assert max(each["count"] for each in seen) == Order.objects.count() > len(seen) > 2


def test_no_two_of_a_key_run_at_once_that_is_released_on_finish(start_pool, runs, drained):
    start_pool("-c", 3)

    def enough():
        storm(3, lambda number: lab.solo.delay("a", 0.05) and time.sleep(0.005), 0.5)
        return len(runs(key="a")) > 20

    wait_until(enough, what="several runs, one after the other")
    drained()
    records = sorted(runs(key="a"), key=lambda record: record["at"])
    assert [each["kind"] for each in records] == ["start", "end"] * (len(records) // 2)


@pytest.mark.postgresql
def test_a_pool_that_cannot_claim_what_is_held_asks_for_wake_ups_and_not_all_the_time(
    start_pool, call, runs
):
    start_pool("-c", 2)
    wait_until(asleep)
    wait_until(crowded_out, what="the pool looks by itself, often")
    lab.count_orders.apply_async(("a",), countdown=60)
    caller = call(lambda: lab.count_orders.delay("a"))
    # Due once it is joined, and not sooner.
    Task.objects.filter(name=lab.count_orders.name).update(execute_at=Now())
    ring(1)
    wait_until(asleep, what="it asks for wake-ups, although a task is due")
    assert Task.objects.pending().exists()
    assert not runs("seen")
    caller.end()
    wait_until(lambda: runs("seen"))
