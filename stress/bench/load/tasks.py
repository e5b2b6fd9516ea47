"""The tasks of the bench, as users of taskq write them."""

from django.db import connection

from stress.bench import work
from stress.bench.raw import EFFECT
from taskq.celery import shared_task

noop = shared_task(work.noop)
nap = shared_task(work.nap)
mark = shared_task(work.mark)
nap_and_mark = shared_task(work.nap_and_mark)


@shared_task(atomic=True)
def order(number: int) -> None:
    """Write one row, in one transaction with its own completion.

    By a cursor: what the ORM takes is not the queue's.
    """
    with connection.cursor() as cursor:
        cursor.execute(EFFECT, (number, "now"))
    work.noop()
