"""CELERY_TASK_ALWAYS_EAGER: for tests, the task runs in the caller."""

from __future__ import annotations

import asyncio
import datetime
import uuid

import pytest
from django.db import transaction

from stress.project.shop.models import Order
from taskq.celery import EagerResult, shared_task
from taskq.models import Task
from taskq.task.payload import PayloadError
from taskq.task.request import current

pytestmark = pytest.mark.usefixtures("sent_eagerly")


class Boom(Exception):
    pass


@shared_task
def divide(a, b=1):
    return a / b


@pytest.mark.parametrize("send", [divide.delay, divide.delay_on_commit])
def test_delay_runs_the_task_at_once(send):
    result = send(8, b=2)
    assert isinstance(result, EagerResult)
    assert result.result == 4


@pytest.mark.parametrize("send", [divide.apply_async, divide.apply_async_on_commit])
def test_apply_async_runs_the_task_at_once(send):
    assert send((8,), {"b": 2}, countdown=3600, ignore_result=True).get() == 4


@pytest.mark.django_db
def test_nothing_is_written():
    divide.delay(8)
    assert not Task.objects.exists()


def test_it_is_off_when_the_setting_is_false(settings, db):
    settings.CELERY_TASK_ALWAYS_EAGER = False
    divide.delay(8)
    assert Task.objects.count() == 1


def test_result_of_a_success():
    result = divide.delay(8, 2)
    assert result.id == str(uuid.UUID(result.id))
    assert result.task_id == result.id
    assert result.status == result.state == "SUCCESS"
    assert result.ready()
    assert result.successful()
    assert not result.failed()
    assert result.get(timeout=1, interval=0.1) == 4
    assert result.traceback is None
    assert result.revoke() is False


def test_result_of_a_failure():
    result = divide.delay(8, 0)
    assert isinstance(result.result, ZeroDivisionError)
    assert result.status == result.state == "FAILURE"
    assert result.ready()
    assert result.failed()
    assert not result.successful()
    assert isinstance(result.get(propagate=False), ZeroDivisionError)
    assert "ZeroDivisionError: division by zero" in result.traceback
    assert "in divide" in result.traceback
    with pytest.raises(ZeroDivisionError):
        result.get()


def test_a_task_that_returns_an_error_succeeds():
    @shared_task
    def answer():
        return KeyError("not raised")

    result = answer.delay()
    assert result.successful()
    assert isinstance(result.get(), KeyError)


def test_ids_differ():
    assert divide.delay(1).id != divide.delay(1).id


def test_errors_are_raised_when_the_second_setting_says_so(propagates):
    with pytest.raises(ZeroDivisionError):
        divide.delay(8, 0)
    assert divide.delay(8, 2).get() == 4


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_a_process_is_not_held_back(error):
    @shared_task
    def leave():
        raise error

    with pytest.raises(error):
        leave.delay()


def test_async_task_runs_at_once():
    @shared_task
    async def add(a, b):
        await asyncio.sleep(0)
        return a + b

    assert add.delay(1, 2).get() == 3


def test_bound_task_sees_an_eager_request():
    @shared_task(bind=True, queue="own")
    def look(self):
        return self.request

    result = look.delay()
    request = result.get()
    assert request.is_eager
    assert not request.called_directly
    assert (request.id, request.name, request.queue) == (result.id, look.name, "own")
    assert look.apply_async(queue="other").get().queue == "other"
    assert current.get() is None


def test_task_that_sends_another_gets_its_result_and_keeps_its_request():
    @shared_task(bind=True)
    def outer(self):
        return divide.delay(8, 2).get(), self.request.name

    assert outer.delay().get() == (4, outer.name)


# As in production


def test_arguments_go_through_the_encoding_as_in_production():
    @shared_task
    def echo(value):
        return value

    day = datetime.date(2030, 1, 2)
    given = {"pair": (1, 2), "day": day}
    got = echo.delay(given).get()
    assert got == {"pair": [1, 2], "day": day}
    assert got is not given


def test_arguments_that_cannot_be_encoded_are_refused_as_in_production():
    with pytest.raises(PayloadError, match=r"args\[0\] is of type object"):
        divide.delay(object())


@pytest.mark.parametrize(
    "option",
    [{"priority": 1000}, {"queue": "a,b"}, {"countdown": "x"}, {"eta": 5}, {"expires": ""}],
)
def test_options_are_checked_as_in_production(option):
    with pytest.raises((TypeError, ValueError), match=f"{next(iter(option))} is "):
        divide.apply_async((8,), **option)


def test_unknown_option_is_refused_as_in_production():
    with pytest.raises(TypeError, match="apply_async has no 'chord' here"):
        divide.apply_async((8,), chord="x")


@pytest.mark.django_db
def test_atomic_task_that_fails_leaves_nothing_behind():
    @shared_task(atomic=True)
    def place(number, fail):
        Order.objects.create(number=number)
        if fail:
            raise Boom

    assert place.delay(1, fail=False).successful()
    assert place.delay(2, fail=True).failed()
    assert list(Order.objects.values_list("number", flat=True)) == [1]


@pytest.mark.django_db
def test_task_that_is_not_atomic_keeps_what_it_wrote_before_it_failed():
    @shared_task
    def place(number):
        Order.objects.create(number=number)
        raise Boom

    assert place.delay(1).failed()
    assert Order.objects.count() == 1


@pytest.mark.django_db
def test_atomic_task_runs_in_a_transaction_of_its_own():
    @shared_task(atomic=True)
    def look():
        return len(transaction.get_connection().savepoint_ids)

    with transaction.atomic():
        outside = len(transaction.get_connection().savepoint_ids)
        assert look.delay().get() == outside + 1


@shared_task
async def count_orders(new):
    await Order.objects.acreate(number=new)
    return await Order.objects.acount()


@pytest.mark.django_db
def test_an_async_task_uses_the_tests_own_connection():
    Order.objects.create(number=1)
    assert count_orders.delay(2).get() == 2
    assert Order.objects.count() == 2


def test_an_async_task_within_a_loop_is_refused_with_the_mend():
    async def view():
        count_orders.delay(2)

    with pytest.raises(RuntimeError, match="send it by sync_to_async"):
        asyncio.run(view())
