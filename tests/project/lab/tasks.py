"""Tasks that behave in every way there is, for the tests."""

import asyncio
import ctypes
import os
import signal
import time

from asgiref.sync import async_to_sync, sync_to_async
from django.utils import translation

from stress.project.lab import dying
from stress.project.runs import note, run
from stress.project.shop.models import Order, Shipment
from taskq.celery import current_task, shared_task
from tests.project.lab import (  # noqa: F401  with tasks too
    canvas,
    classes,
    leftovers,
    limits,
    lost,
    oddities,
    receivers,
    secrets,
    sessions,
    speaking,
    steps,
)


@shared_task
def quick(key):
    note("start", key=key)
    note("end", key=key)


def run_or_die(request, key, victims):
    """Quick; but it kills these processes, if any, and then its own, unless it was lost before.

    Not at the first attempt: a claim that was given back counts as one.
    """
    note("start", key=key)
    if victims is not None and not request.losses:
        for pid in (*victims, os.getpid()):
            os.kill(pid, signal.SIGKILL)
    note("end", key=key)


@shared_task(bind=True)
def quick_or_fatal(self, key, victims=None):
    run_or_die(self.request, key, victims)


@shared_task(bind=True, ignore_result=False, max_retries=1)
def leave_or_die(self, key, how, victims=None):
    """Quick, and leaves a row: a result, a failure or a retry. Unless it was lost before, it may
    kill these processes, and then its own."""
    note("start", key=key)
    if victims is not None and not self.request.losses:
        for pid in (*victims, os.getpid()):
            os.kill(pid, signal.SIGKILL)
    if how == "fail":
        raise ValueError(key)
    if how == "retry" and not self.request.retries:
        raise self.retry(countdown=0)
    return key


@shared_task(bind=True)
def tick(self, key="tick"):
    """A periodic one: notes which tick it is for, and which task it is."""
    tick = self.request.scheduled_at
    late = time.time() - tick.timestamp()
    note("start", key=key, tick=tick.isoformat(), late=late, task=self.request.pk)
    note("end", key=key)


@shared_task
def nap(key, seconds):
    with run(key):
        time.sleep(seconds)


@shared_task
def nap_until(key, path=""):
    """Until there is this file. Without one it is quick."""
    with run(key):
        while path and not os.path.exists(path):
            time.sleep(0.01)


@shared_task(bind=True)
def nap_at_first(self, key, seconds, then=0.0):
    """For so long on its first attempt, which a test ends; on later ones for another time."""
    with run(key):
        time.sleep(seconds if self.request.attempt == 1 else then)


@shared_task(on_lost="fail")
def nap_once(key, seconds):
    with run(key):
        time.sleep(seconds)


@shared_task
def hold_gil(key, seconds):
    """A C call that never lets another thread of this process run."""
    with run(key):
        ctypes.PyDLL(None).sleep(seconds)


@shared_task
def exit_hard(key, code):
    with run(key):
        os._exit(code)


@shared_task
def kill_self(key, number):
    with run(key):
        os.kill(os.getpid(), number)
        time.sleep(10)


@shared_task
def overflow_stack(key):
    with run(key):
        dying.overflow_stack()


@shared_task
def fail(key, text="no good"):
    with run(key):
        raise ValueError(text)


@shared_task(autoretry_for=(ValueError,), retry_kwargs={"max_retries": 2, "countdown": 0.05})
def fail_and_retry(key):
    with run(key):
        raise ValueError("again")


@shared_task(bind=True, max_retries=5)
def retry_until(self, key, retries):
    with run(key):
        if self.request.retries < retries:
            self.retry(countdown=0.05)


@shared_task(atomic=True)
def ship(number, seconds=0.0, fail=False, path=""):
    """Its shipment and its completion are one transaction. path: a file that it waits for."""
    with run(number):
        Shipment.objects.create(order=Order.objects.get(number=number))
        time.sleep(seconds)
        while path and not os.path.exists(path):
            time.sleep(0.01)
        if fail:
            raise ValueError("could not be shipped")


@shared_task(ignore_result=False)
def add(a, b):
    return a + b


@shared_task(bind=True)
def swallow_retry(self, key):
    with run(key):
        try:
            if self.request.retries < 2:
                self.retry(countdown=0)
        except Exception:
            pass


@shared_task(ignore_result=False)
def wait_for_another(as_a_coroutine=False):
    if as_a_coroutine:
        return async_to_sync(sync_to_async(add.delay(1, 2).get))()
    return add.delay(1, 2).get()


@shared_task(ignore_result=False, atomic=True)
def place(number):
    """Its order, its result and its completion are one transaction."""
    return {"number": Order.objects.create(number=number).number}


@shared_task(ignore_result=False)
def give_back_an_object():
    return object()


@shared_task
async def doze(key, seconds):
    with run(key):
        await Order.objects.acount()
        await asyncio.sleep(seconds)


@shared_task(on_lost="fail")
def print_and_die(key):
    print(f"printed by {key}")
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(bind=True)
def tell(self, key, again=False):
    """What it knows of itself."""
    request = self.request
    note(
        "told",
        key=key,
        id=str(request.id),
        queue=request.queue,
        retries=request.retries,
        attempt=request.attempt,
        eta=request.eta.isoformat(),
        headers=request.headers,
        current=current_task.name,
        same=current_task == self,
    )
    if again and request.retries == 0:
        self.retry(countdown=0)


@shared_task(ignore_result=False)
def nap_and_keep(key, seconds):
    with run(key):
        time.sleep(seconds)


@shared_task
def noop():
    pass


@shared_task
def five():
    time.sleep(0.005)


@shared_task(atomic=True)
def atom():
    pass


@shared_task(bind=True)
def headers_of(self):
    return self.request.headers


@shared_task
def trace(key):
    note("traced", key=key, trace=receivers.trace.get())


@shared_task
async def trace_async(key):
    note("traced", key=key, trace=receivers.trace.get())


@shared_task(unique="args")
def count_orders(key):
    """Joined while it waits: it sees the orders of all who joined."""
    note("start", key=key)
    note("seen", key=key, count=Order.objects.count())


@shared_task(unique="args", unique_until="finish")
def solo(key, seconds=0.0):
    """No two of a key at once."""
    with run(key):
        time.sleep(seconds)


receivers.connect()


@shared_task(ignore_result=False)
def language():
    return translation.get_language()


@shared_task(ignore_result=False)
async def language_of_a_coroutine():
    return translation.get_language()
