"""Tasks of Django's own, for the tests; the app is installed where Django has any."""

import asyncio
import time

import django
from django.dispatch import receiver

from stress.project.runs import note, run
from stress.project.shop.models import Order
from taskq.django import task as task_with_options
from taskq.django.compat import task_finished, task_started

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task


@task
def add(a, b=0):
    return a + b


@task(queue_name="mail", priority=7)
def send(number):
    return {"sent": number}


@task
async def doze(key, seconds):
    with run(key):
        count = await Order.objects.acount()
        await asyncio.sleep(seconds)
        return count


@task(takes_context=True)
def nap_and_tell(context, key, seconds):
    """Sleeps on its first attempt only."""
    with run(key):
        if context.attempt == 1:
            time.sleep(seconds)
    return {"attempt": context.attempt, "id": context.task_result.id}


@task(takes_context=True)
async def tell(context, key):
    result = context.task_result
    return [result.status, result.args, result.task.name, result.worker_ids, context.attempt]


@task
def fail(key):
    with run(key):
        raise ValueError("no good")


@task_with_options(
    takes_context=True, autoretry_for=(ValueError,), max_retries=2, default_retry_delay=0.05
)
def fail_twice(context, key):
    note("attempt", key=key, attempt=context.attempt)
    if context.attempt < 3:
        raise ValueError(f"attempt {context.attempt}")
    return context.attempt


@task_with_options(atomic=True)
def place(number, succeed=True):
    Order.objects.create(number=number)
    if not succeed:
        raise ValueError("no good")
    return number


@task_with_options(on_lost="fail", time_limit=60, soft_time_limit=30, retry_backoff=True)
def charge(key, seconds):
    with run(key):
        time.sleep(seconds)


@task_with_options(unique="args")
def unique(number):
    return number


def _function():
    pass


named_otherwise = task_with_options(_function, max_retries=9)


@task
def give_back_an_object():
    return object()


# Who listens to Django's signals


def _note(kind, task_result):
    note(
        kind,
        key=task_result.id,
        status=str(task_result.status),
        attempts=task_result.attempts,
        value=task_result.return_value if task_result.status == "SUCCESSFUL" else None,
    )


@receiver(task_started)
def note_started(sender, task_result, **kwargs):
    _note("started", task_result)


@receiver(task_finished)
def note_finished(sender, task_result, **kwargs):
    _note("finished", task_result)
    if task_result.task.name == "add":
        raise RuntimeError("a receiver that fails")


@task(takes_context=True)
def count(context, key):
    """What its context has besides Django's own."""
    context.set_progress(3, 4)
    note("start", key=key, headers=context.request.headers, stopping=context.is_stopping())
    try:
        while not context.is_stopping():
            time.sleep(0.02)
        time.sleep(30)
    finally:  # a cancel may interrupt it before it has looked again
        note("stopping", key=key, told=context.is_stopping())
