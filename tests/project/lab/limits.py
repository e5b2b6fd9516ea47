"""Tasks that meet their time limits, are cancelled, or say how far they are."""

import asyncio
import signal
import time

from stress.project.runs import note, run
from stress.project.shop.models import Order
from taskq.celery import SoftTimeLimitExceeded, TaskCancelled, current_task, shared_task


@shared_task(soft_time_limit=0.5, time_limit=0.5)
def at_both_limits(key):
    with run(key):
        time.sleep(30)


@shared_task(soft_time_limit=0.3)
def too_long(key):
    with run(key):
        try:
            time.sleep(30)
        except SoftTimeLimitExceeded:
            note("warned", key=key)
            raise


@shared_task(soft_time_limit=0.3)
def shrug(key):
    """Returns at its soft limit, as if nothing were."""
    with run(key):
        try:
            time.sleep(30)
        except SoftTimeLimitExceeded:
            return


@shared_task(soft_time_limit=0.3)
async def doze_too_long(key):
    with run(key):
        await asyncio.sleep(30)


@shared_task(autoretry_for=(Exception,), soft_time_limit=30)
def carry_on(key, seconds):
    """A loop that carries on whatever happens, as some are."""
    with run(key):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                time.sleep(0.05)
            except Exception as error:
                note("carried on", key=key, error=type(error).__name__)


@shared_task(ignore_result=False)
def refuse(key, how):
    """Does not end when it is cancelled."""
    with run(key):
        while True:
            try:
                time.sleep(30)
            except TaskCancelled:
                note("refused", key=key)
                if how == "retry":
                    raise ValueError("cancelled, and raises something else") from None
                if how == "return":
                    return "clean"


@shared_task(soft_time_limit=0.3)
def warned_then_cancelled(key):
    with run(key):
        try:
            time.sleep(30)
        except SoftTimeLimitExceeded:
            note("warned", key=key)
        time.sleep(30)


@shared_task(bind=True, ignore_result=False, max_retries=5)
def count(self, key, numbers, then="return"):
    """Says how far it is, and waits at the end of it."""
    with run(key):
        for number in numbers:
            self.set_progress(number, 100)
        if then == "fail":
            raise ValueError("no good")
        if then == "wait":
            time.sleep(30)


@shared_task(atomic=True)
def count_in_transaction(key):
    with run(key):
        Order.objects.create(number=1)
        current_task.set_progress(7)
        time.sleep(30)


@shared_task(bind=True, max_retries=None)
def checkpoint(self, key):
    """Ends when it is asked to, and goes on later."""
    with run(key):
        while self.request.retries == 0:
            time.sleep(0.05)
            if self.is_stopping():
                note("stopping", key=key)
                self.retry(countdown=0)


@shared_task(time_limit=0.5)
def hang(key, masked=False):
    with run(key):
        if masked:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            time.sleep(30)
