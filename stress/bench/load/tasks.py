"""The bench's tasks, as users of taskq write them."""

from stress.bench import work
from stress.project.shop.models import Order
from taskq.celery import shared_task

noop = shared_task(work.noop)
nap = shared_task(work.nap)
mark = shared_task(work.mark)
nap_and_mark = shared_task(work.nap_and_mark)


@shared_task(atomic=True)
def order(number: int) -> None:
    """One row, in one transaction with its own completion."""
    Order.objects.create(number=number)
    work.noop()
