"""``run_all()`` in the transaction of a test: what is rolled back, committed and seen."""

from __future__ import annotations

import functools

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import TestCase, TransactionTestCase

from stress.project.shop.models import Order
from taskq.celery import shared_task
from taskq.models import State, Task, Worker
from taskq.task import registry
from taskq.task.request import current
from taskq.testing import run_all
from tests.taskq.saying import _said


@shared_task
def order(number):
    Order.objects.create(number=number)


@shared_task(atomic=True, autoretry_for=(ValueError,), max_retries=1, default_retry_delay=60)
def order_atomically(number, succeed=True):
    Order.objects.create(number=number)
    _said.append(current.get().retries)
    if not succeed:
        raise ValueError("no good")


@shared_task
async def count_orders():
    _said.append(await Order.objects.acount())


@shared_task
def order_twice_and_fail(number):
    Order.objects.create(number=number)
    Order.objects.create(number=number)


class InATestCase(TestCase):
    """As a Django project has it: the transaction of the test is rolled back after it."""

    def test_what_was_sent_runs_within_the_tests_transaction(self):
        with transaction.atomic():
            Order.objects.create(number=1)
            order.delay(2)
        report = run_all()
        assert [run.name for run in report] == [f"{__name__}.order"]
        assert Order.objects.count() == 2
        assert not Task.objects.exists()
        assert not Worker.objects.exists()

    def test_what_was_rolled_back_does_not(self):
        with transaction.atomic():
            order.delay(1)
            transaction.set_rollback(True)
        assert len(run_all()) == 0
        assert not Order.objects.exists()

    def test_a_broken_transaction_is_the_tasks_alone(self):
        result = order_twice_and_fail.delay(1)
        with pytest.raises(IntegrityError):
            run_all()
        assert Task.objects.get(pk=result.id.int).state == State.FAILED
        order.delay(2)
        assert len(run_all().succeeded) == 1
        assert not Worker.objects.exists()


class WithoutATransaction(TransactionTestCase):
    def test_it_does_the_same(self):
        order.delay(1)
        order_atomically.delay(2, succeed=False)
        report = run_all(propagate=False, forward=None)
        assert [run.outcome for run in report] == ["succeeded", "retried", "failed"]
        assert Order.objects.get().number == 1
        assert not connection.in_atomic_block


pytestmark = pytest.mark.django_db


def test_an_atomic_tasks_effects_go_with_its_failure(said):
    order_atomically.delay(1, succeed=False)
    assert len(run_all().retried) == 1
    assert not Order.objects.exists()
    order_atomically.delay(2)
    run_all()
    assert Order.objects.get().number == 2


def test_an_async_task_sees_what_the_test_wrote(said):
    Order.objects.create(number=1)
    count_orders.delay()
    run_all()
    assert said == [1]
    assert Order.objects.exists()  # the test's transaction is still there


def test_callbacks_of_on_commit_are_called_when_a_worker_would_have_committed(said, monkeypatch):
    def work(*, fail=False):
        with transaction.atomic():
            transaction.on_commit(functools.partial(_said.append, "committed"))
        _said.append("worked")
        if fail:
            raise ValueError

    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))
    transaction.on_commit(functools.partial(_said.append, "the test's own"))
    plain = shared_task(name="plain")(work)
    atomic = shared_task(name="atomic", atomic=True)(work)
    plain.delay()
    run_all()
    atomic.delay()
    run_all()
    assert said == ["worked", "committed"] * 2
    del said[:]
    atomic.delay(fail=True)
    run_all(propagate=False)
    assert said == ["worked"]
