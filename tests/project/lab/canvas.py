"""Steps of workflows."""

import os
import signal

from taskq.celery import shared_task


@shared_task(ignore_result=False, max_retries=0)
def total(values, more=0):
    return sum(values) + more


@shared_task(bind=True, ignore_result=False)
def count_or_die(self, number):
    """The number; but every third kills its worker, until it was lost once."""
    if number % 3 == 0 and not self.request.losses:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@shared_task(bind=True, ignore_result=False)
def split(self, numbers):
    """The sum of the numbers, by a group that takes the place of this task."""
    return self.replace(count_or_die.map(numbers) | total.s())
