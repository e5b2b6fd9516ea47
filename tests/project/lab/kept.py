"""Tasks whose finished runs are kept. Not in tasks.py: pools make partitions for these alone."""

from stress.project.runs import note
from stress.project.shop.models import Order
from taskq.celery import shared_task
from tests.project.lab.tasks import run_or_die

WEEK = 7 * 86_400.0


@shared_task(keep_finished="7 days")
def plain(key):
    note("start", key=key)
    note("end", key=key)


@shared_task(keep_finished="12 hours", ignore_result=False)
def with_result(key):
    return {"key": key}


@shared_task(keep_finished="7 days", atomic=True)
def place(number):
    Order.objects.create(number=number)


@shared_task(keep_finished="7 days", atomic=True, ignore_result=False)
def place_with_result(number):
    Order.objects.create(number=number)
    return number


@shared_task(bind=True, keep_finished="7 days", max_retries=1)
def second_time_lucky(self, key):
    if not self.request.retries:
        raise self.retry(exc=ValueError(key), countdown=0)
    return key


@shared_task(keep_finished="7 days")
def fail(key):
    raise ValueError(key)


@shared_task(keep_finished=False)
def never(key):
    pass


@shared_task(bind=True, keep_finished="7 days")
def quick_or_fatal(self, key, victims=None):
    run_or_die(self.request, key, victims)
